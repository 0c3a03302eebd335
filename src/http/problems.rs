//! `/problems/{reason}`: what each type of problem means and what to do about it, on every listener.
//!
//! The `type` of a problem is this path, so that whoever meets a problem can read about it on the gateway that it came from, in the
//! words of that gateway's version. The text is the page of the documentation, one section for each type.

use super::problem::{self, Problem};
use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};

/// Each section begins with `### ` and the reason code.
const PAGE: &str = include_str!("../../docs/src/reference/problems.md");

/// The route of the pages.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/problems/{reason}", get(explain))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

async fn explain(reason: Result<Path<String>, PathRejection>) -> Result<impl IntoResponse, Problem> {
    let section = reason.ok().and_then(|Path(reason)| section(&reason));
    let Some(section) = section else { return Err(problem::not_found().await) };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    Ok((headers, section))
}

/// Returns the section of a reason code: its name in the first line, and the text.
fn section(reason: &str) -> Option<&'static str> {
    let mut sections = PAGE.split("\n### ").skip(1);
    let text = sections.find(|text| text.lines().next() == Some(reason))?;
    Some(text.split("\n## ").next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RefusalReason;
    use std::{collections::BTreeSet, fs, path::Path as FilePath};
    use strum::VariantArray as _;

    /// The texts of all files below a folder, without their tests.
    fn texts(folder: &FilePath, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                texts(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !codes_elsewhere(&path) {
                let text = fs::read_to_string(&path).unwrap();
                out.push(text.split("#[cfg(test)]\nmod").next().unwrap().to_owned());
            }
        }
    }

    /// This file, and the one whose codes are the names of variants.
    fn codes_elsewhere(path: &FilePath) -> bool {
        path.ends_with("problems.rs") || path.ends_with("refusal.rs")
    }

    /// The first text in quotes that is a reason code, within the statement that begins here.
    fn code(rest: &str) -> Option<String> {
        let statement = rest.split(';').next()?;
        let is_code =
            |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        statement.split('"').skip(1).step_by(2).find(is_code).map(str::to_owned)
    }

    /// Every reason code that the program can write into a problem or a record, as its source has them.
    fn codes() -> BTreeSet<String> {
        let root = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut all = Vec::new();
        ["http", "ingest", "source", "confirm"].iter().for_each(|room| texts(&root.join(room), &mut all));
        let mut codes = BTreeSet::new();
        for text in &all {
            for beginning in [
                "Problem::new(",
                "Problem::bad_request(",
                "Problem::unavailable(",
                "unclear(\"",
                "Unclear { code: \"",
            ] {
                let after = text.split(beginning).skip(1);
                let literal = beginning.ends_with('"');
                codes.extend(
                    after.filter_map(|rest| if literal { code(&format!("\"{rest}")) } else { code(rest) }),
                );
            }
        }
        // Where the code is the result of a function that names one for each variant.
        for (file, function) in [
            ("ingest/outcome.rs", "const fn code(self)"),
            ("ingest/outcome.rs", "const fn reason(&self)"),
            ("source/verify/rejection.rs", "fn code("),
            ("store/append.rs", "pub const fn code(self)"),
            ("source/payload/xml/error.rs", "pub(crate) const fn code(self)"),
            ("http/admin/reconcile.rs", "fn not_reconciled("),
            ("http/admin/backfill.rs", "fn not_taken("),
            ("http/admin/quarantine.rs", "const fn reason_of("),
            ("http/demo.rs", "impl From<DemoError> for Problem {"),
        ] {
            let text = fs::read_to_string(root.join(file)).unwrap();
            let (_, body) = text.split_once(function).unwrap();
            let body = body.split("\n    }\n").next().unwrap();
            codes.extend(
                body.split('"').skip(1).step_by(2).filter(|text| !text.is_empty()).map(str::to_owned),
            );
        }
        let text = fs::read_to_string(root.join("http/refusal.rs")).unwrap();
        let (_, variants) = text.split_once("pub(super) enum Refusal {").unwrap();
        let variants =
            variants.split('}').next().unwrap().lines().filter_map(|line| line.trim().strip_suffix(','));
        codes.extend(variants.filter(|variant| !variant.contains(' ')).map(snake));
        let of_metrics_alone =
            [RefusalReason::Forbidden, RefusalReason::Drain, RefusalReason::Overload, RefusalReason::Store];
        let refused = RefusalReason::VARIANTS.iter().filter(|reason| !of_metrics_alone.contains(reason));
        codes.extend(refused.map(|reason| <&str>::from(*reason).to_owned()));
        let elsewhere = ["store", "quarantine_full", "too_many_waiting", "unknown_part"];
        codes.extend(elsewhere.map(str::to_owned));
        codes
    }

    fn snake(name: &str) -> String {
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        snake
    }

    /// The sections of the page, by their names.
    fn sections() -> Vec<String> {
        PAGE.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect()
    }

    #[test]
    fn every_type_of_problem_has_a_page_and_every_page_a_problem() {
        let sections = sections();
        let unique: BTreeSet<String> = sections.iter().cloned().collect();
        assert_eq!(unique.len(), sections.len(), "a section stands twice");
        let codes = codes();
        assert!(codes.len() > 80, "{codes:?}");
        let missing: Vec<_> = codes.difference(&unique).collect();
        assert!(missing.is_empty(), "problems.md explains none of {missing:?}");
        let unknown: Vec<_> = unique.difference(&codes).collect();
        assert!(unknown.is_empty(), "nothing answers {unknown:?}, which problems.md explains");
    }

    #[test]
    fn each_page_says_what_happened_and_ends_before_the_next() {
        for name in sections() {
            let section = section(&name).unwrap();
            assert!(section.len() > name.len() + 15 && !section.contains("\n#"), "{section}");
        }
        assert!(section("").is_none() && section("Requests").is_none() && section("expire").is_none());
    }
}
