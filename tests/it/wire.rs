//! The wire: every promise that the gateway makes to a client, over a real socket.

mod ends;
mod failure;
mod heartbeat;
mod opening;
pub(crate) mod realm;
mod resume;
mod several;
mod snapshot;
mod sockets;
