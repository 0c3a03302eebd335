//! TLS of the listeners: certificates, which of them a client gets, and the protocol itself without any I/O.
//!
//! It promises TLS 1.2 and 1.3 alone, with forward secrecy and authenticated encryption; that a client without a certificate of a
//! required authority never sends a byte of HTTP; and that replacing certificates changes only connections that begin later. It does
//! not know sockets, the configuration file or HTTP, but for the names of its versions.
//!
//! | file | noun |
//! |---|---|
//! | `certificate` | a certificate with its chain and its key, checked |
//! | `clients`     | the authorities whose certificates clients have to present |
//! | `identity`    | what one listener presents and asks for |
//! | `server`      | the TLS of one listener, whose identity can be replaced |
//! | `session`     | the TLS of one connection, from its handshake on |

mod certificate;
mod clients;
mod identity;
mod server;
mod session;

pub use certificate::{Certificate, CertificateError};
pub use clients::{ClientAuthorities, ClientAuthoritiesError};
pub use identity::Identity;
pub use server::TlsServer;
pub use session::{Session, SessionEnd};

/// The name of HTTP/2 in a handshake (RFC 9113, section 3.1).
pub const HTTP_2: &[u8] = b"h2";

/// The name of HTTP/1.1 in a handshake (RFC 7301, section 6).
pub const HTTP_1_1: &[u8] = b"http/1.1";
