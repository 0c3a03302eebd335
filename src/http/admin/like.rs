//! What exists like a name that does not, for refusals.

/// The most names that are proposed.
const PROPOSED: usize = 5;

/// Names those that are most like the one that was asked for: `; there is acme, acme-test`. Empty if there is none.
pub(super) fn like<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut scored: Vec<_> = known.map(|known| (strsim::jaro_winkler(name, known), known)).collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    scored.dedup();
    let names: Vec<_> = scored.into_iter().take(PROPOSED).map(|(_, known)| known).collect();
    if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
}
