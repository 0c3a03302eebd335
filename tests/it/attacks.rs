//! What an attacker tries on the running gateway, and what it answers. `docs/security.md` names the test of each attack.

mod frames;
mod heads;
mod http2;
mod ingest;
mod store;
