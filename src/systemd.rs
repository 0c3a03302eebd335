//! The service manager that started the process, if one did: systemd, or another one that speaks the same protocols.
//!
//! It may pass sockets that it has opened (`sd_listen_fds(3)`), and is told what the process is doing (`sd_notify(3)`). Both are
//! agreed on in environment variables; without them, nothing is passed and nobody is told.
//!
//! | file | noun |
//! |---|---|
//! | `sockets` | the listening sockets that were passed |
//! | `notices` | what the service manager is told, and its watchdog |

mod notices;
mod sockets;

pub use notices::{keep_watchdog, ready, reloaded, reloading, stopping, watchdog};
pub use sockets::{PassedSocketError, PassedSockets};
