//! A port that is taken, told in the terms of commands that have no configuration file.

use crate::app::BindError;
use anyhow::anyhow;
use std::io::ErrorKind;

/// `error`, with a remedy that the command has, if it says that a socket could not be opened.
pub(super) fn in_terms_of_arguments(error: anyhow::Error) -> anyhow::Error {
    let Some(BindError { name, address, source }) = error.downcast_ref() else { return error };
    let what = match source.kind() {
        ErrorKind::AddrInUse => format!("port {} is taken", address.port()),
        _ => format!("cannot listen on {address}: {source}"),
    };
    // Streams and webhooks share a port, unless the environment says otherwise.
    match *name {
        "public" => anyhow!("{what}; use --port with another one, or --port 0 for one that is free"),
        name => {
            let variable = format!("PAYSTREAM__LISTEN__{}", name.to_ascii_uppercase());
            anyhow!("{what}; set {variable} to another address, e.g. {variable}=127.0.0.1:0")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, net::SocketAddr};

    #[test]
    fn a_taken_port_is_told_in_the_terms_of_the_command() {
        let address: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        for (name, kind, expected) in [
            ("public", ErrorKind::AddrInUse, "port 8080 is taken; use --port with another one"),
            ("admin", ErrorKind::AddrInUse, "port 8080 is taken; set PAYSTREAM__LISTEN__ADMIN to another"),
            (
                "public",
                ErrorKind::PermissionDenied,
                "cannot listen on 127.0.0.1:8080: permission denied; use --port",
            ),
        ] {
            let source = io::Error::from(kind);
            let error = in_terms_of_arguments(BindError { name, address, source }.into()).to_string();
            assert!(error.starts_with(expected) && !error.contains("[listen]"), "{error}");
        }
        let other = anyhow!("another error");
        assert_eq!(in_terms_of_arguments(other).to_string(), "another error");
    }
}
