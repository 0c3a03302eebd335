//! The error of a port that is in use, for commands that have no configuration file.

use crate::{app::BindError, config::ListenerKind};
use anyhow::anyhow;
use std::io::ErrorKind;

/// If `error` says that a socket could not be opened, replaces its remedy, which is about the configuration file, by one that uses
/// the arguments and environment variables of the command.
pub(super) fn in_terms_of_arguments(error: anyhow::Error) -> anyhow::Error {
    let Some(BindError { listener, address, source }) = error.downcast_ref() else { return error };
    let what = match source.kind() {
        ErrorKind::AddrInUse => format!("port {} is in use by another program", address.port()),
        _ => format!("cannot listen on {address}: {source}"),
    };
    match listener {
        // Streams and webhooks share a port, unless the environment names two.
        Some(ListenerKind::Public) => {
            anyhow!("{what}; choose another port with --port, or a free one with --port 0")
        }
        Some(listener @ (ListenerKind::Ingest | ListenerKind::Admin)) => {
            let variable = listener.variable();
            anyhow!("{what}; set {variable} to another address, e.g. {variable}=127.0.0.1:0")
        }
        // These commands have no TLS.
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, net::SocketAddr};

    #[test]
    fn a_taken_port_is_told_in_the_terms_of_the_command() {
        let address: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        for (listener, kind, expected) in [
            (
                ListenerKind::Public,
                ErrorKind::AddrInUse,
                "port 8080 is in use by another program; choose another port",
            ),
            (
                ListenerKind::Admin,
                ErrorKind::AddrInUse,
                "port 8080 is in use by another program; set PAYSTREAM__LISTEN__ADMIN to",
            ),
            (
                ListenerKind::Public,
                ErrorKind::PermissionDenied,
                "cannot listen on 127.0.0.1:8080: permission denied; choose another port with --port",
            ),
        ] {
            let source = io::Error::from(kind);
            let listener = Some(listener);
            let error = in_terms_of_arguments(BindError { listener, address, source }.into()).to_string();
            assert!(error.starts_with(expected) && !error.contains("[listen]"), "{error}");
        }
        let other = anyhow!("another error");
        assert_eq!(in_terms_of_arguments(other).to_string(), "another error");
    }
}
