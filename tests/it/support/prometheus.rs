//! The Prometheus of Debian, with the rules of `deploy/`, that scrapes one gateway each second. Dropping it ends it.

use super::{Gateway, PATIENCE, eventually, free_address};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Prometheus {
    address: SocketAddr,
    folder: TempDir,
    child: Child,
    client: reqwest::Client,
}

impl Prometheus {
    pub(crate) async fn scraping(gateway: &Gateway) -> Self {
        let (address, folder) = (free_address(), TempDir::new().unwrap());
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/paystream.rules.yml");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs:\n  - job_name: paystream\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
            rules.display(),
            gateway.admin
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("prometheus; tests/run installs it");
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let prometheus = Self { address, folder, child, client };
        eventually("Prometheus is ready", async || {
            let ready = prometheus.client.get(format!("http://{address}/-/ready")).send().await;
            ready.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        prometheus
    }

    /// The samples that an expression gives now, each with its labels under `metric` and its `value`.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let query: String = form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = self.get(&format!("query?query={query}")).await;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{expression}: {answer}")).clone()
    }

    /// All rules, each with its `name`, `query`, `type` and `health`.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let answer = self.get("rules").await;
        let groups = answer["data"]["groups"].as_array().unwrap().iter();
        groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("http://{}/api/v1/{path}", self.address)).send().await;
        let text = answer.unwrap_or_else(|error| panic!("{error}\n{}", self.log())).text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
