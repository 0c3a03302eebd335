//! Placeholder.
#![allow(missing_docs, clippy::unused_async, clippy::needless_pass_by_value)]
use crate::config::{Config, Role};
use std::net::SocketAddr;
pub struct App;
pub struct Running {
    pub public: SocketAddr,
    pub ingest: SocketAddr,
    pub admin: SocketAddr,
}
impl App {
    pub async fn start(config: Config, _role: Role) -> anyhow::Result<Running> {
        Ok(Running { public: config.listen.public, ingest: config.listen.ingest, admin: config.listen.admin })
    }
}
impl Running {
    pub async fn reload(&self, _config: Config) -> anyhow::Result<()> {
        Ok(())
    }
    pub async fn shutdown(self) {}
    pub async fn kill(self) {}
}
pub mod demo {
    pub async fn run(_port: Option<u16>) -> anyhow::Result<()> {
        anyhow::bail!("the demo is not in this build")
    }
}
