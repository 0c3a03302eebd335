//! The table of the built-in presets, in Markdown, for people.

use super::{
    builtin::{presets, text_of},
    compile,
    load::whole,
    raw,
};
use crate::source::{
    retries::Retries,
    verify::{Algorithm, Carrier, Recipe},
};
use std::time::Duration;

/// Returns one row for each built-in preset: how it is verified, how old a delivery may be, how the provider retries, how far its word is
/// believed, when the provider is asked, and how the preset was checked.
#[must_use]
pub fn preset_table() -> String {
    let mut table =
        "| preset | provider | verified by | age limit | sent again | trust | asked with `api` | mapping | checked against | options |\n\
                     |---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in presets().filter_map(row) {
        table.push_str(&row);
    }
    table
}

/// Returns the row of a preset. A preset that cannot be compiled has no row; a test shows that all built-in ones can.
fn row(name: &str) -> Option<String> {
    let raw = whole(text_of(name)?).ok()?;
    let about = raw.about?;
    let (scheme, max_age_s) = match (raw.signature, raw.adapter) {
        (Some(signature), _) => {
            let recipe = compile::recipe(signature, &raw.options).ok()?;
            let max_age = recipe.time.as_ref().map(|time| time.max_age.map(|age| age.as_secs()));
            (scheme(&recipe), max_age)
        }
        (None, adapter) => (adapter?.scheme().to_owned(), adapter?.max_age_s().map(Some)),
    };
    let age = match max_age_s {
        None => "none is signed".to_owned(),
        Some(None) => "the source's `max_age`".to_owned(),
        Some(Some(seconds)) => format!("{seconds} s"),
    };
    let retries = raw.retries.as_ref().map(compile::retries).transpose().ok()?;
    let sent_again = retries.map_or_else(|| "unknown".to_owned(), |retries| sent_again(&retries));
    let asking = raw.confirm.as_ref().map(|confirm| confirm.on);
    let trust = match (raw.trust, asking) {
        (Some(raw::Trust::Hint), Some(_)) => "hint; confirmed with `api`",
        (Some(raw::Trust::Hint), None) => "hint",
        (_, Some(raw::Asking::Event)) => "verified; completed with `api`",
        (_, Some(raw::Asking::Demand) | None) => "verified",
    };
    let asked = match (asking, about.unasked) {
        (Some(raw::Asking::Event), _) => "after each event, and by `reconcile`".to_owned(),
        (Some(raw::Asking::Demand), _) => "by `reconcile`".to_owned(),
        (None, Some(why)) => format!("never: {why}"),
        (None, None) => "as your own file says".to_owned(),
    };
    let mapping = match (raw.map.is_empty(), about.verified) {
        (true, _) => "by your own file",
        (false, true) => "verified",
        (false, false) => "unverified",
    };
    let oracle = about.oracle.unwrap_or_else(|| "nothing else".to_owned());
    let options: Vec<String> = raw
        .options
        .iter()
        .map(|(name, choice)| {
            let default = choice.default.as_ref().filter(|default| !default.is_empty());
            let default = default.map(|default| format!(" (`{default}`)")).unwrap_or_default();
            format!("`{name}`{default}: {}", choice.means)
        })
        .collect();
    Some(format!(
        "| `{name}` | {} | {scheme} | {age} | {sent_again} | {trust} | {asked} | {mapping} | {oracle} | {} |\n",
        about.title,
        options.join("; ")
    ))
}

/// Says how a provider retries: for how long, when it disables the endpoint, in which order, and when an answer is too late.
fn sent_again(retries: &Retries) -> String {
    let Retries { lost_after, disabled_after, timeout, blocks, .. } = retries;
    let parts = [
        lost_after.map(|span| format!("for {}", in_words(span))),
        disabled_after.map(|span| format!("disabled after {}", in_words(span))),
        blocks.then(|| "one refusal holds back the rest".to_owned()),
        timeout.map(|span| format!("waits {}", in_words(span))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

/// Writes a time with its largest unit; up to two days in hours.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        s if s >= 172_800 && s.is_multiple_of(86_400) => format!("{} d", s / 86_400),
        s if s >= 7_200 => format!("{} h", s / 3_600),
        s if s >= 120 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn scheme(recipe: &Recipe) -> String {
    let carrier = match &recipe.carrier {
        Carrier::Header(name) => format!("`{name}`"),
        Carrier::Query(name) => format!("`?{name}=` in the address"),
    };
    let algorithms: Vec<&str> = recipe.methods.iter().map(|method| word(method.algorithm)).collect();
    let keys = match (&recipe.certificates, recipe.names_keys()) {
        (Some(_), _) => "; certificates fetched, or pinned",
        (None, true) => ", keys by id",
        (None, false) => "",
    };
    format!("{carrier}: {}{keys}", algorithms.join(" or "))
}

/// Returns the name of an algorithm for people.
const fn word(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha1 => "HMAC-SHA1",
        Algorithm::HmacSha256 => "HMAC-SHA256",
        Algorithm::HmacSha512 => "HMAC-SHA512",
        Algorithm::Ed25519 => "Ed25519",
        Algorithm::RsaSha256 => "RSA-SHA256",
        Algorithm::Token => "the secret itself",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The line that ends a table in a page.
    const END: &str = "<!-- end of presets -->";

    /// Checks that a page of the project has a table between the line `begin` and [`END`], or writes it there if the environment
    /// says so.
    pub(in crate::source::preset) fn stands_in(page: &str, begin: &str, table: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(begin).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        let expected = format!("\n{table}\n");
        if found != expected && std::env::var_os("PAYSTREAM_WRITE_README").is_some() {
            std::fs::write(path, format!("{before}{begin}{expected}{END}{after}")).unwrap();
        }
        assert!(found == expected, "run this test once with PAYSTREAM_WRITE_README=1 in the environment");
    }

    #[test]
    fn the_page_of_presets_has_the_table() {
        stands_in(
            "docs/src/providers/presets.md",
            "<!-- presets: `paystream check --presets` -->\n",
            &preset_table(),
        );
    }

    #[test]
    fn every_preset_has_a_row() {
        assert_eq!(preset_table().lines().count(), 2 + presets().count());
    }
}
