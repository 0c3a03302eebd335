//! Bad input, and what it gets.

mod configuration;
mod cursors_and_strings;
mod sockets;
mod webhooks;
