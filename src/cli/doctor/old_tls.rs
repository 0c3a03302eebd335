//! Asks whether a server still speaks TLS 1.0 or 1.1 (forbidden by RFC 8996), which our library of TLS cannot: by the first message of
//! a handshake, which holds no secret, and never by more.

use std::io::{self, Read, Write};

/// Cipher suites of TLS 1.0 and 1.1 that servers had: ECDHE, DHE and RSA with AES in CBC mode, and 3DES.
const SUITES: [u16; 11] =
    [0xc00a, 0xc009, 0xc014, 0xc013, 0x0039, 0x0033, 0x0035, 0x002f, 0x000a, 0xc012, 0x00ff];

/// The record type of a handshake, and the type of a server's first message in it.
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;

/// Whether the server at the other end accepts TLS 1.1 or older. What it answers besides is not read.
pub(super) fn accepts(socket: &mut (impl Read + Write), host: Option<&str>) -> io::Result<bool> {
    socket.write_all(&client_hello(host, rand::random()))?;
    socket.flush()?;
    // The head of the record (5 bytes) and the type of the message in it.
    let mut answer = [0; 6];
    match socket.read_exact(&mut answer) {
        Ok(()) => Ok(answer[0] == HANDSHAKE && answer[5] == SERVER_HELLO),
        // A server that refuses the version may just hang up.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The message with which a client of TLS 1.1 begins (RFC 4346, section 7.4.1.2), in its record.
fn client_hello(host: Option<&str>, random: [u8; 32]) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(host) = host {
        let name = [&[0][..], &length(host.len()), host.as_bytes()].concat();
        extend(&mut extensions, 0, &[&length(name.len())[..], &name].concat());
    }
    // The curves x25519, P-256 and P-384, and points without compression.
    extend(&mut extensions, 10, &[0, 6, 0, 29, 0, 23, 0, 24]);
    extend(&mut extensions, 11, &[1, 0]);
    let suites: Vec<u8> = SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let body = [
        &[3, 2][..],
        &random,
        // No session, and no compression but none.
        &[0],
        &length(suites.len()),
        &suites,
        &[1, 0],
        &length(extensions.len()),
        &extensions,
    ]
    .concat();
    let message = [&[1, 0][..], &length(body.len()), &body].concat();
    [&[HANDSHAKE, 3, 1][..], &length(message.len()), &message].concat()
}

fn extend(extensions: &mut Vec<u8>, kind: u16, value: &[u8]) {
    extensions.extend_from_slice(&kind.to_be_bytes());
    extensions.extend_from_slice(&length(value.len()));
    extensions.extend_from_slice(value);
}

/// A length in two bytes. A host has at most 253 letters, so all lengths fit.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers with these bytes.
    struct Server(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Server {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Server {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_server_hello_accepts() {
        for (answer, expected) in [
            (&[22, 3, 2, 0, 60, 2, 0, 0, 56, 3, 2][..], true),
            // The alert protocol_version.
            (&[21, 3, 2, 0, 2, 2, 70], false),
            (&[], false),
            (b"HTTP/1.1 400 Bad Request", false),
        ] {
            let mut server = Server(io::Cursor::new(answer.to_vec()), Vec::new());
            assert_eq!(accepts(&mut server, Some("pay.shop.example")).unwrap(), expected, "{answer:?}");
            let sent = server.1;
            assert_eq!(usize::from(sent[3]) << 8 | usize::from(sent[4]), sent.len() - 5);
            assert!(sent.windows(16).any(|window| window == b"pay.shop.example"));
        }
    }
}
