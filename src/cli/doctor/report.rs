//! The result of an examination, for people and for programs.

use super::{
    endpoint::Endpoint,
    finding::{Diagnosis, Finding},
    middlebox::Middlebox,
    remedy,
};
use reqwest::{Url, Version};
use serde_json::{Map, Value, json};
use std::time::Duration;
use strum::IntoEnumIterator as _;

/// What was examined, and how it was reached.
pub(super) struct Report<'a> {
    url: &'a Url,
    payment: &'a str,
    pub(super) heartbeat: Duration,
    /// The version of TLS, if there was a handshake.
    pub(super) tls: Option<&'static str>,
    /// The version of HTTP, if there was an answer.
    pub(super) http: Option<Version>,
    /// How long the stream was watched, if it was.
    pub(super) watched: Option<Duration>,
}

impl<'a> Report<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, heartbeat: Duration) -> Self {
        let (url, payment) = (&endpoint.base, endpoint.payment.as_str());
        Self { url, payment, heartbeat, tls: None, http: None, watched: None }
    }

    /// What mends a finding: for the proxies that are there or, if none is known, for all.
    fn mending(finding: &Finding, middleboxes: &[Middlebox]) -> Vec<(Middlebox, &'static str)> {
        let all: Vec<Middlebox> = Middlebox::iter().collect();
        let known = if middleboxes.is_empty() { &all } else { middleboxes };
        known
            .iter()
            .filter_map(|middlebox| Some((*middlebox, remedy::directive(finding.flaw, *middlebox)?)))
            .collect()
    }

    /// The result for people.
    pub(super) fn as_text(&self, diagnosis: &Diagnosis) -> String {
        let Diagnosis { findings, fine, not_asked, untried, middleboxes } = diagnosis;
        let names: Vec<&'static str> = middleboxes.iter().map(<&'static str>::from).collect();
        let over: Vec<String> = self
            .http
            .map(|version| format!("{version:?}"))
            .into_iter()
            .chain(self.tls.map(str::to_owned))
            .collect();
        let over = if over.is_empty() {
            "was asked".to_owned()
        } else {
            format!("answers over {}", over.join(" and "))
        };
        let behind = match names.as_slice() {
            [] => String::new(),
            names => format!(", behind {}", names.join(" and ")),
        };
        let mut lines = vec![format!("{} {over}{behind}.", self.url)];
        if let Some(watched) = self.watched {
            lines.push(format!("A stream was watched for up to {:.0} s.", watched.as_secs_f64()));
        }
        for finding in findings {
            let code: &str = finding.flaw.into();
            lines.push(format!("\nfound: {code}\n  {}", finding.says));
            lines.push(format!("  {}", remedy::in_general(finding.flaw)));
            let mending = Self::mending(finding, middleboxes);
            lines.extend(mending.iter().map(|(middlebox, directive)| {
                let name: &str = middlebox.into();
                format!("    {name}: {directive}")
            }));
        }
        lines.extend((!fine.is_empty()).then(|| format!("\nin order: {}", fine.join("; "))));
        lines.extend(not_asked.iter().map(|what| format!("not asked: {what}")));
        lines.extend(untried.iter().map(|what| format!("could not be tried: {what}")));
        lines.push(match (findings.len(), untried.len()) {
            (0, 0) => "\nAll is in order.".to_owned(),
            (0, _) => "\nNothing was found, but not everything could be tried.".to_owned(),
            (1, _) => "\n1 finding.".to_owned(),
            (many, _) => format!("\n{many} findings."),
        });
        lines.join("\n")
    }

    /// The result for programs.
    pub(super) fn as_json(&self, diagnosis: &Diagnosis) -> Value {
        let Diagnosis { findings, fine, not_asked, untried, middleboxes } = diagnosis;
        let names: Vec<&'static str> = middleboxes.iter().map(<&'static str>::from).collect();
        let finding = |finding: &Finding| {
            let code: &str = finding.flaw.into();
            let directives: Map<String, Value> = Self::mending(finding, middleboxes)
                .into_iter()
                .map(|(middlebox, directive)| (<&str>::from(middlebox).to_owned(), json!(directive)))
                .collect();
            json!({
                "code": code, "says": finding.says,
                "mend": remedy::in_general(finding.flaw), "directives": directives,
            })
        };
        json!({
            "url": self.url.as_str(),
            "payment": self.payment,
            "ok": findings.is_empty() && untried.is_empty(),
            "http": self.http.map(|version| format!("{version:?}")),
            "tls": self.tls,
            "proxies": names,
            "heartbeat_s": self.heartbeat.as_secs_f64(),
            "watched_s": self.watched.map(|watched| watched.as_secs_f64()),
            "findings": findings.iter().map(finding).collect::<Vec<_>>(),
            "in_order": fine,
            "not_asked": not_asked,
            "untried": untried,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Flaw, *};

    #[test]
    fn a_known_proxy_gets_its_directive_and_an_unknown_one_those_of_all() {
        let endpoint =
            Endpoint::new("https://pay.example".parse().unwrap(), "p".parse().unwrap(), None, None).unwrap();
        let report = Report::new(&endpoint, Duration::from_secs(15));
        let mut diagnosis = Diagnosis::default();
        diagnosis.note(vec![Finding::new(Flaw::Buffered, "It is held back.")], "");
        diagnosis.note(Vec::new(), "no compression");
        let text = report.as_text(&diagnosis);
        for name in Middlebox::iter().map(<&str>::from) {
            assert!(text.contains(&format!("    {name}: ")), "{name}: {text}");
        }
        diagnosis.meet(vec![Middlebox::Nginx]);
        let text = report.as_text(&diagnosis);
        assert!(text.contains("nginx: proxy_buffering off;") && !text.contains("Caddy"), "{text}");
        assert!(
            text.contains("found: buffered\n  It is held back.") && text.ends_with("1 finding."),
            "{text}"
        );
        let json = report.as_json(&diagnosis);
        assert_eq!(json["findings"][0]["code"], "buffered");
        assert_eq!((&json["ok"], &json["in_order"][0]), (&json!(false), &json!("no compression")));
    }

    #[test]
    fn every_flaw_has_a_remedy_a_place_in_the_page_and_a_test_that_provokes_it() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
        let page = read(root.join("docs/src/guides/proxies.md"));
        let tests = std::fs::read_dir(root.join("tests/it/doctor")).unwrap().map(|file| file.unwrap().path());
        let tests: String = tests.chain([root.join("tests/it/doctor.rs")]).map(read).collect();
        for flaw in Flaw::iter() {
            let code: &str = flaw.into();
            assert!(remedy::in_general(flaw).ends_with('.'), "{code}");
            assert!(page.contains(&format!("`{code}`")), "{code} is not in the page");
            assert!(tests.contains(&format!("\"{code}\"")), "{code} is provoked by no test");
        }
    }
}
