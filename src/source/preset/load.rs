//! The loader of presets: from the text of a preset, and of those that it extends, to a preset that can be used.

use super::{
    Preset,
    builtin::{presets, text_of},
    compile::{self, Context, Proof},
    error::PresetError,
    mistake::Mistake,
    raw,
};
use crate::{
    payment::Trust,
    source::{payload::BodyForm, verify::Scheme},
};
use std::path::Path;

/// Loads a built-in preset. Returns `None` if there is none of that name.
pub(crate) fn built_in(name: &str) -> Option<Result<Preset, PresetError>> {
    let text = text_of(name)?;
    Some(load(name, text))
}

/// Loads a preset file that a user wrote. Fails if it cannot be read, or makes no sense.
pub(crate) fn from_file(path: &Path) -> Result<Preset, PresetError> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => load(&file, &text),
        Err(why) => {
            Err(PresetError { file, key: "file".to_owned(), reason: format!("it cannot be read: {why}") })
        }
    }
}

/// Loads a preset from its text. Errors name it by `file`.
pub(super) fn load(file: &str, text: &str) -> Result<Preset, PresetError> {
    let wrong = |Mistake { key, reason }| PresetError { file: file.to_owned(), key, reason };
    let raw = whole(text).map_err(wrong)?;
    let missing = |key: &str, reason: &str| wrong(Mistake { key: key.to_owned(), reason: reason.to_owned() });
    if raw.name.parse::<crate::payment::Name>().is_err() {
        return Err(missing("name", "1 to 128 characters of printable ASCII are allowed"));
    }
    if raw.map.is_empty() {
        return Err(missing(
            "map",
            "this preset says how deliveries are signed, not what they mean; write a preset file of your own that extends \
             it with [[map]] entries, and give the source its path",
        ));
    }
    compile::options(&raw.options).map_err(wrong)?;
    let scheme = match (raw.signature, raw.adapter) {
        (Some(signature), None) => {
            Scheme::Recipe(Box::new(compile::recipe(signature, &raw.options).map_err(wrong)?))
        }
        (None, Some(adapter)) => Scheme::Adapter(adapter),
        (None, None) => {
            return Err(missing("signature", "it is missing; write it, or extend a preset that has it"));
        }
        (Some(_), Some(_)) => return Err(missing("adapter", "a preset has either `signature` or `adapter`")),
    };
    let trust = match raw.trust {
        Some(raw::Trust::Hint) => Trust::Hint,
        None | Some(raw::Trust::Verified) if scheme.proves_body() => Trust::Verified,
        None | Some(raw::Trust::Verified) => {
            let reason = "`{body}` is missing, and what is not signed may not be believed; sign the body, or write `trust = \"hint\"`";
            return Err(missing("signature.signed", reason));
        }
    };
    let codes = compile::codes(&raw.failures, &raw.actions);
    let context = Context { proof: Proof::Signature(&scheme), options: &raw.options, codes: &codes };
    let mapping = compile::mapping(&raw.event, &raw.map, context).map_err(wrong)?;
    compile::ignored(&raw.ignored, &raw.map).map_err(wrong)?;
    let confirm = raw.confirm.map(|confirm| compile::confirm(confirm, trust, &raw.options, &codes));
    let confirm = confirm.transpose().map_err(wrong)?;
    let backfill = raw.backfill.map(compile::backfill).transpose().map_err(wrong)?;
    let retries = raw.retries.as_ref().map(compile::retries).transpose().map_err(wrong)?.unwrap_or_default();
    let each = raw.each.map(|each| compile::pointer("each", &each)).transpose().map_err(wrong)?;
    Ok(Preset {
        name: raw.name.into(),
        extends: raw.bases,
        trust,
        scheme,
        body: raw.body.unwrap_or(BodyForm::Json),
        each,
        options: raw.options,
        reply: raw.reply.unwrap_or_default(),
        retries,
        mapping,
        confirm,
        backfill,
    })
}

/// Parses a preset and completes it with the presets that it extends.
pub(super) fn whole(text: &str) -> Result<raw::Preset, Mistake> {
    let parse = |text: &str| -> Result<raw::Preset, Mistake> {
        toml::from_str(text).map_err(|why: toml::de::Error| Mistake {
            key: why.span().map_or_else(String::new, |span| format!("line {}", line_of(text, span.start))),
            reason: why.message().to_owned(),
        })
    };
    let mut preset = parse(text)?;
    // Each step adds one of the built-in presets, and none of them is needed twice.
    for _ in presets() {
        let Some(base) = preset.extends.take() else { break };
        let Some(text) = text_of(&base) else {
            let known: Vec<_> = presets().collect();
            let reason = format!("there is no preset `{base}`; allowed: {}", known.join(", "));
            return Err(Mistake { key: "extends".to_owned(), reason });
        };
        preset = extended(preset, parse(text)?);
        preset.bases.push(base);
    }
    Ok(preset)
}

fn line_of(text: &str, place: usize) -> usize {
    1 + text.bytes().take(place).filter(|byte| *byte == b'\n').count()
}

/// Completes a preset with the one that it extends.
fn extended(own: raw::Preset, base: raw::Preset) -> raw::Preset {
    let or = |own: Vec<String>, base: Vec<String>| if own.is_empty() { base } else { own };
    raw::Preset {
        name: own.name,
        extends: base.extends,
        bases: own.bases,
        about: own.about,
        trust: own.trust.or(base.trust),
        body: own.body.or(base.body),
        each: own.each.or(base.each),
        options: base.options.into_iter().chain(own.options).collect(),
        adapter: own.adapter.or(base.adapter.filter(|_| own.signature.is_none())),
        signature: own.signature.or(base.signature),
        reply: own.reply.or(base.reply),
        retries: own.retries.or(base.retries),
        event: raw::Event {
            id: or(own.event.id, base.event.id),
            kind: or(own.event.kind, base.event.kind),
            otherwise: own.event.otherwise.or(base.event.otherwise),
            occurred_at: own.event.occurred_at.or(base.event.occurred_at),
            live: own.event.live.or(base.event.live),
            payment: or(own.event.payment, base.event.payment),
            labels: or(own.event.labels, base.event.labels),
            parts: or(own.event.parts, base.event.parts),
            payment_is_part: own.event.payment_is_part.or(base.event.payment_is_part),
            own_ids: or(own.event.own_ids, base.event.own_ids),
            amounts: own.event.amounts.or(base.event.amounts),
            exponents: base.event.exponents.into_iter().chain(own.event.exponents).collect(),
        },
        // A file with entries of its own may map what the base ignores, so it has to say again what stays ignored.
        ignored: if own.map.is_empty() && own.ignored.is_empty() { base.ignored } else { own.ignored },
        map: own.map.into_iter().chain(base.map).collect(),
        failures: base.failures.into_iter().chain(own.failures).collect(),
        actions: base.actions.into_iter().chain(own.actions).collect(),
        confirm: own.confirm.or(base.confirm),
        backfill: own.backfill.or(base.backfill),
    }
}
