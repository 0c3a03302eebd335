//! The listening sockets that the service manager has opened. They stay open while the gateway restarts, so no connection is refused
//! meanwhile, and they may have ports that the gateway's user may not open.

use listenfd::ListenFd;
use socket2::SockRef;
use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener},
};

/// Listening sockets, by the names that the service manager gave them (`FileDescriptorName=` in a socket unit).
#[derive(Debug, Default)]
pub struct PassedSockets(BTreeMap<String, TcpListener>);

/// What was passed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PassedSocketError {
    /// The sockets have no names, or not one each.
    #[error(
        "the service manager passes {0} sockets and {1} names (LISTEN_FDNAMES); give each socket unit a FileDescriptorName="
    )]
    Unnamed(usize, usize),
    /// Two sockets have the same name.
    #[error(
        "the service manager passes several sockets with the name {0:?}; give each listener one socket unit with one ListenStream="
    )]
    Repeated(String),
    /// A descriptor is no listening TCP socket.
    #[error(
        "the service manager passes {0:?}, which is no listening TCP socket; use ListenStream= with a port, and Accept=no"
    )]
    NotListening(String, #[source] Option<io::Error>),
}

impl PassedSockets {
    /// Takes what the service manager passed to this process and not to another one. It has to be called once, before the process has
    /// other threads, because it removes the variables that say so from the environment.
    pub fn take() -> Result<Self, PassedSocketError> {
        // The library takes sockets also where no process is named; by the protocol, they are then not meant for this one.
        let is_for_us = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        if !is_for_us {
            return Ok(Self::default());
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
        let mut passed = ListenFd::from_env();
        if names.len() != passed.len() {
            return Err(PassedSocketError::Unnamed(passed.len(), names.len()));
        }
        let mut sockets = BTreeMap::new();
        for (index, name) in names.into_iter().enumerate() {
            let refused = |error| PassedSocketError::NotListening(name.to_owned(), error);
            let socket = passed.take_tcp_listener(index).map_err(|error| refused(Some(error)))?;
            let socket = socket.ok_or_else(|| refused(None))?;
            let is_listening = SockRef::from(&socket).is_listener().map_err(|error| refused(Some(error)))?;
            if !is_listening {
                return Err(refused(None));
            }
            if sockets.insert(name.to_owned(), socket).is_some() {
                return Err(PassedSocketError::Repeated(name.to_owned()));
            }
        }
        Ok(Self(sockets))
    }

    /// Whether nothing was passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the sockets, and where they listen.
    pub fn addresses(&self) -> io::Result<Vec<(String, SocketAddr)>> {
        self.0.iter().map(|(name, socket)| Ok((name.clone(), socket.local_addr()?))).collect()
    }

    /// The socket with this name. It belongs to the caller from now on.
    pub fn remove(&mut self, name: &str) -> Option<TcpListener> {
        self.0.remove(name)
    }

    /// Adds a socket, as if it had been passed.
    #[cfg(test)]
    pub(crate) fn insert(&mut self, name: &str, socket: TcpListener) {
        self.0.insert(name.to_owned(), socket);
    }
}
