//! The list of all scenarios, by preset.

use super::super::output;
use crate::{
    payment::Status,
    scenario::{Life, SimulatedProvider, Treatment},
    source::{Trial, trial},
};
use serde_json::{Map, Value, json};

/// Prints which scenarios and event types each preset has, and why it lacks the others.
pub(super) fn print(json: bool) -> anyhow::Result<()> {
    for name in SimulatedProvider::names() {
        let provider = SimulatedProvider::named(name)?;
        let trial = trial(name);
        let line = if json { in_json(&provider, trial).to_string() } else { in_words(&provider, trial) };
        output::say(&line)?;
    }
    Ok(())
}

/// Says why a preset does not have a scenario. Returns `None` if it has it.
fn lacks(provider: &SimulatedProvider, trial: Option<Trial>, life: Life) -> Option<String> {
    if let Some(says) = provider.lacks(life) {
        return Some(format!("no event says that {says}"));
    }
    let is_ageless = trial.is_none_or(|trial| trial.max_age.is_none());
    (life.treatment() == Treatment::Stale && is_ageless).then(|| {
        "the provider signs no time or sets no limit of age; where a time is signed, the source's `max_age` can".to_owned()
    })
}

/// What has to be known before a preset is triggered.
fn remarks(provider: &SimulatedProvider, trial: Option<Trial>) -> Vec<&'static str> {
    let hint = provider.is_hint().then_some(
        "its webhooks only hint: the payment stays `unknown` until the provider's API says more (`[source.api]`)",
    );
    let key = trial.is_some_and(|trial| trial.needs_private_key).then_some(
        "only a private key signs: give the source a key of your own as its secret, and the private half with --signing-key",
    );
    hint.into_iter().chain(key).collect()
}

fn in_words(provider: &SimulatedProvider, trial: Option<Trial>) -> String {
    let mut lines = vec![provider.to_string()];
    lines.extend(remarks(provider, trial).iter().map(|remark| format!("  {remark}")));
    let (mut has, mut misses) = (Vec::new(), Vec::new());
    for life in Life::ALL {
        match lacks(provider, trial, *life) {
            None => {
                let status: Status = provider.status_after(*life);
                has.push(format!("    {:<20} {} → {status}", life.name(), life.about()));
            }
            Some(why) => misses.push(format!("    {:<20} {why}", life.name())),
        }
    }
    lines.push("  scenarios, and the status that they end in".to_owned());
    lines.append(&mut has);
    if !misses.is_empty() {
        lines.push("  not there".to_owned());
        lines.append(&mut misses);
    }
    lines.push("  event types".to_owned());
    lines.extend(provider.event_types().iter().map(|kind| format!("    {kind}")));
    lines.join("\n")
}

fn in_json(provider: &SimulatedProvider, trial: Option<Trial>) -> Value {
    let (mut has, mut misses) = (Map::new(), Map::new());
    for life in Life::ALL {
        match lacks(provider, trial, *life) {
            None => drop(has.insert(life.name().to_owned(), json!(provider.status_after(*life)))),
            Some(why) => drop(misses.insert(life.name().to_owned(), why.into())),
        }
    }
    json!({
        "provider": provider.name(),
        "hint": provider.is_hint(),
        "needs_private_key": trial.is_some_and(|trial| trial.needs_private_key),
        "scenarios": has.keys().collect::<Vec<_>>(),
        "ends_as": has,
        "missing": misses,
        "event_types": provider.event_types(),
    })
}
