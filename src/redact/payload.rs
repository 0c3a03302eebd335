//! Whole payloads, for operators who have to see why an event was not understood: every text in them is masked, and the values of keys for
//! card data and for secrets are dropped. What was changed is listed, so that nobody takes a mask for what the provider wrote.

use super::{MAX_READ, fold, is_card_key, is_pan_like, is_pan_like_amount, text};
use serde_json::{Map, Value};
use std::{collections::HashSet, ptr};

/// What stands for a value that is dropped.
const DROPPED: &str = "***";

/// The longest id, time or amount that is masked by the rule for ids, in bytes.
const MAX_EXACT: usize = 256;

/// The longest name of a member, in bytes.
const MAX_NAME: usize = 256;

/// Words in the names of members whose values are secrets, in lower case without `_`, `-` and spaces.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "apikey",
    "privatekey",
    "accesskey",
    "credential",
    "signature",
    "hmac",
    "cookie",
];

/// The beginnings of texts that are secrets, wherever they stand.
const SECRET_STARTS: &[&str] =
    &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "Bearer ", "Basic ", "eyJ", "-----BEGIN"];

/// The values of a payload that a preset reads, by their addresses.
#[derive(Default)]
pub(crate) struct Exact {
    /// The ids, times and amounts, which are masked by the narrow rule for ids.
    pub(crate) values: HashSet<*const Value>,
    /// Those of them that are never masked, because the provider or the shop vouches for them.
    pub(crate) vouched: HashSet<*const Value>,
    /// All that is read, and what it lies in: its name does not make it a secret, but what lies beside it in there stays one.
    pub(crate) read: HashSet<*const Value>,
}

/// A masked payload.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Masked {
    /// The payload without what must not leave.
    pub(crate) payload: Value,
    /// The JSON pointers (RFC 6901) to all that was changed.
    pub(crate) changed: Vec<String>,
}

/// Masks a payload, but for `exact`.
pub(crate) fn payload(payload: &Value, exact: &Exact) -> Masked {
    let mut walk = Walk { exact, changed: Vec::new(), at: String::new(), is_secret: false };
    let payload = walk.value(payload, None, None);
    Masked { payload, changed: walk.changed }
}

/// The way through a payload.
struct Walk<'a> {
    exact: &'a Exact,
    changed: Vec<String>,
    /// The pointer to the value that is looked at.
    at: String,
    /// The value lies in a member whose name is that of a secret. All that is not read is dropped.
    is_secret: bool,
}

impl Walk<'_> {
    /// Masks one value, under the names of its member and of the one around it.
    fn value(&mut self, value: &Value, name: Option<&str>, parent: Option<&str>) -> Value {
        let is_vouched = self.exact.vouched.contains(&ptr::from_ref(value));
        let is_read = self.exact.read.contains(&ptr::from_ref(value));
        let is_exact = self.exact.values.contains(&ptr::from_ref(value));
        if name.is_some_and(|name| is_card_key(name, parent)) && !value.is_null() {
            return self.dropped();
        }
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            _ if is_vouched && !matches!(value, Value::Array(_) | Value::Object(_)) => value.clone(),
            Value::String(text) if is_exact => self.exact(value, text),
            Value::Number(number) if is_exact => self.exact(value, &number.to_string()),
            _ if (self.is_secret || name.is_some_and(is_secret_key)) && !is_read => self.dropped(),
            Value::String(text) => self.scalar(value, text),
            Value::Number(number) => self.scalar(value, &number.to_string()),
            Value::Array(items) => self.below(name, |walk| walk.list(items, name)),
            Value::Object(members) => self.below(name, |walk| walk.object(members, name)),
        }
    }

    /// Masks what lies in a value under this name.
    fn below(&mut self, name: Option<&str>, mask: impl FnOnce(&mut Self) -> Value) -> Value {
        let around = self.is_secret;
        self.is_secret |= name.is_some_and(is_secret_key);
        let masked = mask(self);
        self.is_secret = around;
        masked
    }

    fn dropped(&mut self) -> Value {
        self.changed.push(self.at.clone());
        DROPPED.into()
    }

    /// Keeps an id, a time or an amount unless it is a card number.
    fn exact(&mut self, value: &Value, written: &str) -> Value {
        let amount = written.parse::<i64>().ok();
        let is_amount = amount.is_some_and(|amount| (0..=4).any(|digits| is_pan_like_amount(amount, digits)));
        if written.len() <= MAX_EXACT && written.is_ascii() && !is_pan_like(written) && !is_amount {
            return value.clone();
        }
        self.scalar(value, written)
    }

    /// Masks a text or a number.
    fn scalar(&mut self, value: &Value, written: &str) -> Value {
        if is_secret(written) {
            return self.dropped();
        }
        if is_harmless(written) {
            return value.clone();
        }
        let shown = masked(written);
        if shown == written {
            return value.clone();
        }
        self.changed.push(self.at.clone());
        shown.into()
    }

    fn list(&mut self, items: &[Value], name: Option<&str>) -> Value {
        // A number may be spread over the items, which only a comma separates.
        let spread: Vec<String> = items.iter().filter_map(plain).collect();
        let spread = spread.join(",");
        let is_spread = spread.len() > 12 && items.len() > 1 && masked(&spread) != spread;
        let masked = (0..).zip(items).map(|(place, item): (usize, _)| {
            self.within(&place.to_string(), |walk| match plain(item) {
                Some(part) if is_spread && part.chars().any(char::is_numeric) && !walk.is_exact(item) => {
                    walk.dropped()
                }
                _ => walk.value(item, None, name),
            })
        });
        Value::Array(masked.collect())
    }

    fn object(&mut self, members: &Map<String, Value>, parent: Option<&str>) -> Value {
        let mut kept = Map::new();
        for (name, value) in members {
            let shown = if is_harmless(name) { name.clone() } else { masked_to(name, MAX_NAME) };
            let masked = self.within(&escaped(&shown), |walk| {
                if shown != *name {
                    walk.changed.push(walk.at.clone());
                }
                walk.value(value, Some(name), parent)
            });
            kept.insert(shown, masked);
        }
        Value::Object(kept)
    }

    fn is_exact(&self, value: &Value) -> bool {
        let value = ptr::from_ref(value);
        self.exact.values.contains(&value) || self.exact.vouched.contains(&value)
    }

    fn within<T>(&mut self, token: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.at.len();
        self.at.push('/');
        self.at.push_str(token);
        let seen = look(self);
        self.at.truncate(length);
        seen
    }
}

/// A token as JSON pointers write it.
fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The text of a scalar.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn masked(written: &str) -> String {
    masked_to(written, MAX_READ)
}

/// Masks a text, and drops the query and the user of a link, which may hold tokens.
fn masked_to(written: &str, max: usize) -> String {
    let shown = text(written, max);
    let Some((scheme, rest)) = shown.split_once("://") else { return shown };
    let authority = rest.find(['/', '?', '#', ' ']).unwrap_or(rest.len());
    let user = rest.get(..authority).and_then(|host| host.rfind('@')).map_or(0, |at| at + 1);
    let rest = rest.get(user..).unwrap_or_default();
    match rest.find(['?', '#']) {
        Some(query) => format!("{scheme}://{}{DROPPED}", rest.get(..=query).unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}

/// Whether a text can hold no card data and breaks no line: letters of any script, spaces and the marks of a sentence, but neither
/// digits nor what introduces a value.
fn is_harmless(written: &str) -> bool {
    let is_plain = |c: char| {
        c.is_alphabetic() || matches!(c, ' ' | '.' | ',' | '-' | '_' | '\'' | '(' | ')' | '!' | '?')
    };
    written.len() <= MAX_READ
        && written.chars().all(is_plain)
        && (written.is_ascii()
            || !fold::fold(written).contains(|c: char| c.is_ascii_digit() || ":=".contains(c)))
}

/// Whether the value of a member of this name is a secret.
fn is_secret_key(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// Whether a text is a secret by its form.
fn is_secret(written: &str) -> bool {
    SECRET_STARTS.iter().any(|start| written.contains(start)) || written.contains("_secret_")
}

#[cfg(test)]
mod tests;
