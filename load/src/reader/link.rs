//! One connection of a stream, with or without TLS.

use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    sync::Arc,
};

/// How streams speak TLS: with whole handshakes, as clients that were never there before, and HTTP/1.1.
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// TLS with a server that has one of these certificates in PEM, or one that they signed, for this name.
    pub(crate) fn new(roots: &str, name: &str) -> io::Result<Self> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
            store.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config = builder.with_root_certificates(store).with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(Self { config: Arc::new(config), name })
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    pub(super) fn new(socket: TcpStream, tls: Option<&Tls>) -> io::Result<Self> {
        let begin = |tls: &Tls| ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        let tls = tls.map(begin).transpose().map_err(io::Error::other)?.map(Box::new);
        Ok(Self { socket, tls })
    }

    /// Whether there may be more to read, although the last read has not filled its buffer.
    pub(super) const fn reads_in_pieces(&self) -> bool {
        self.tls.is_some()
    }

    /// Writes a request. With TLS, all of it or, as long as the handshake is not complete, nothing: then the error is `WouldBlock`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
            if !tls.is_handshaking() {
                break;
            }
            receive(tls, &mut self.socket)?;
        }
        tls.writer().write_all(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(bytes.len())
    }

    /// Reads what has come; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => receive(tls, &mut self.socket)?,
                read => return read,
            }
        }
    }
}

/// Takes what has come from the socket. An error if nothing has, or if it has ended.
fn receive(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    if tls.read_tls(socket)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    tls.process_new_packets().map_err(io::Error::other)?;
    Ok(())
}
