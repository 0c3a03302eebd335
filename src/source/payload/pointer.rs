//! JSON pointers (RFC 6901) with two more tokens. They are parsed when a preset is loaded, and followed without allocation for
//! each delivery.

use serde_json::Value;
use std::{borrow::Cow, fmt, str::FromStr};

/// A pointer to one place in a payload. Beside the tokens of RFC 6901 there are two more:
///
/// - `[key=value]` selects the first item of an array that has this text under this key. If there is an object in place of the
///   array, it selects the object itself if that has the text, because an XML element that is not repeated is not an array.
/// - `[last]`, at the end of a pointer, selects what follows the last slash of a text, such as the id in a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pointer {
    /// The pointer as the preset writes it.
    text: Box<str>,
    /// The tokens without `[last]`, unescaped.
    tokens: Box<[Box<str>]>,
    /// Whether the pointer ends with `[last]`.
    last: bool,
}

/// The token for what follows the last slash.
const LAST: &str = "[last]";

/// Why a text is not a pointer that a preset may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// The text does not have the form that RFC 6901 defines.
    #[error("not a JSON pointer: expected e.g. `/data/object/id`")]
    Form,
    /// The pointer would let card data into the store.
    #[error("it points at card data, which must not leave the payload")]
    CardData,
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let rest = text.strip_prefix('/').ok_or(PointerError::Form)?;
        let (rest, last) = rest.strip_suffix(&format!("/{LAST}")).map_or((rest, false), |rest| (rest, true));
        let tokens: Box<[Box<str>]> =
            rest.split('/').map(unescape).collect::<Option<_>>().ok_or(PointerError::Form)?;
        let parent = tokens.len().checked_sub(2).and_then(|index| tokens.get(index));
        let name = tokens.last().map_or("", |token| token);
        if crate::redact::is_card_key(name, parent.map(|token| &**token)) {
            return Err(PointerError::CardData);
        }
        Ok(Self { text: text.into(), tokens, last })
    }
}

fn unescape(token: &str) -> Option<Box<str>> {
    let valid = token.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    valid.then(|| token.replace("~1", "/").replace("~0", "~").into())
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pointer {
    /// Returns the tokens of the pointer: names of members, indexes of items and selectors.
    pub(crate) fn tokens(&self) -> &[Box<str>] {
        &self.tokens
    }

    /// Returns the key and the text of a selector, `[key=text]`.
    pub(crate) fn selector(token: &str) -> Option<(&str, &str)> {
        token.strip_prefix('[')?.strip_suffix(']')?.split_once('=')
    }

    /// Returns the value at this pointer. `null` counts as no value.
    pub(crate) fn follow<'a>(&self, payload: &'a Value) -> Option<&'a Value> {
        let found = self.tokens.iter().try_fold(payload, |value, token| Self::step(value, token));
        found.filter(|value| !value.is_null())
    }

    /// Returns the value to which one token leads from another.
    fn step<'a>(value: &'a Value, token: &str) -> Option<&'a Value> {
        match value {
            Value::Object(_) if Self::selector(token).is_some_and(|(key, text)| has(value, key, text)) => {
                Some(value)
            }
            Value::Object(members) => members.get(token),
            Value::Array(items) => match Self::selector(token) {
                Some((key, text)) => items.iter().find(|item| has(item, key, text)),
                None => items.get(token.parse::<usize>().ok()?),
            },
            _ => None,
        }
    }

    /// Returns the values on the way of this pointer, the payload first, as far as there are any; the last one may be `null`. If the way
    /// leads to its end, there is one more than the pointer has tokens.
    pub(crate) fn way<'a>(&self, payload: &'a Value) -> Vec<&'a Value> {
        let mut way = vec![payload];
        let mut value = payload;
        for token in &self.tokens {
            let Some(next) = Self::step(value, token) else { return way };
            way.push(next);
            value = next;
        }
        way
    }

    /// Returns whether the pointer may read the value at another one (of RFC 6901, as its tokens, which are escaped): the value itself,
    /// the `id` in it, or what a selector compares. It says so too if what lay deeper is gone.
    pub(crate) fn may_read(&self, other: &[&str]) -> bool {
        Self::meet(&self.tokens, other)
    }

    fn meet(tokens: &[Box<str>], other: &[&str]) -> bool {
        let (Some((token, rest)), Some((first, others))) = (tokens.split_first(), other.split_first()) else {
            return tokens.is_empty() && (other.is_empty() || *other == ["id"]) || other.is_empty();
        };
        if let Some((key, _)) = Self::selector(token) {
            let of_item = |item: &[&str]| *item == [key] || Self::meet(rest, item);
            // An object in place of the list is the only item.
            return of_item(other) || first.parse::<usize>().is_ok() && of_item(others);
        }
        unescape(first).is_some_and(|first| first == *token) && Self::meet(rest, others)
    }

    /// Returns whether the payload has another type there, or on the way, than the pointer expects: an object or a list in place
    /// of a scalar, or a scalar in place of an object or a list. A missing value and `null` are not mistakes.
    pub(crate) fn is_mistyped(&self, payload: &Value) -> bool {
        let mut value = payload;
        for token in &self.tokens {
            let next = match value {
                Value::Null => return false,
                Value::Object(members) => members.get(&**token),
                Value::Array(items) => match (Self::selector(token), token.parse::<usize>()) {
                    (Some((key, text)), _) => items.iter().find(|item| has(item, key, text)),
                    (None, Ok(index)) => items.get(index),
                    (None, Err(_)) => return true,
                },
                Value::String(_) | Value::Number(_) | Value::Bool(_) => return true,
            };
            let Some(next) = next else { return false };
            value = next;
        }
        matches!(value, Value::Object(_) | Value::Array(_))
    }

    /// Returns the text of the string, the number (as the provider wrote it) or the boolean at this pointer.
    pub(crate) fn text<'a>(&self, payload: &'a Value) -> Option<Cow<'a, str>> {
        self.cut(scalar(self.follow(payload)?)?)
    }

    /// Like [`Pointer::text`], but if an expanded object is there in place of its id, returns the `id` of that object.
    pub(crate) fn id<'a>(&self, payload: &'a Value) -> Option<Cow<'a, str>> {
        match self.follow(payload)? {
            Value::Object(members) => scalar(members.get("id")?),
            value => self.cut(scalar(value)?),
        }
    }

    /// Returns the part of a text that the pointer means, or `None` if nothing is left of it.
    fn cut<'a>(&self, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        if !self.last {
            return Some(text);
        }
        let (_, end) = text.rsplit_once('/').filter(|(_, end)| !end.is_empty())?;
        Some(Cow::Owned(end.to_owned()))
    }
}

fn has(item: &Value, key: &str, text: &str) -> bool {
    item.get(key).and_then(scalar).is_some_and(|found| found == text)
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_find_scalars_as_they_were_written() {
        let payload: Value = serde_json::from_str(
            r#"{"a":{"b":[10,{"id":"x"}],"n":10.00,"t":true,"z":null,"m/n":"s","~":"w"},
                "links":[{"rel":"self","href":"/a/b"},{"rel":"up","href":"https://x.example/v2/9JF"},{"rel":"end","href":"x/"}]}"#,
        )
        .unwrap();
        for (pointer, text, id) in [
            ("/a/b/0", Some("10"), Some("10")),
            ("/a/b/1", None, Some("x")),
            ("/a/b/2", None, None),
            ("/a/b/x", None, None),
            ("/a/n", Some("10.00"), Some("10.00")),
            ("/a/t", Some("true"), Some("true")),
            ("/a/z", None, None),
            ("/a/m~1n", Some("s"), Some("s")),
            ("/a/~0", Some("w"), Some("w")),
            ("/a/n/deeper", None, None),
            ("/links/[rel=up]/rel", Some("up"), Some("up")),
            ("/links/[rel=up]/href/[last]", Some("9JF"), Some("9JF")),
            ("/links/[rel=end]/href/[last]", None, None),
            ("/links/[rel=down]/href/[last]", None, None),
            ("/links/[rel=up]/rel/[last]", None, None),
            ("/a/b/1/[id=x]/id", Some("x"), Some("x")),
            ("/a/b/1/[id=y]/id", None, None),
        ] {
            let parsed: Pointer = pointer.parse().unwrap();
            assert_eq!(parsed.text(&payload).as_deref(), text, "{pointer}");
            assert_eq!(parsed.id(&payload).as_deref(), id, "{pointer}");
        }
    }

    #[test]
    fn what_has_another_type_than_a_pointer_expects_is_told_from_nothing() {
        let payload: Value =
            serde_json::from_str(r#"{"a":{"n":1,"z":null},"b":[{"k":"x","n":2}],"s":"text","t":true}"#)
                .unwrap();
        for (pointer, mistyped) in [
            ("/a/n", false),
            ("/a/z", false),
            ("/a/z/deeper", false),
            ("/a/none", false),
            ("/none/n", false),
            ("/b/0/n", false),
            ("/b/1/n", false),
            ("/b/[k=y]/n", false),
            ("/b/[k=x]/n/deeper", true),
            ("/a", true),
            ("/b", true),
            ("/b/n", true),
            ("/s/n", true),
            ("/t/n", true),
            ("/a/n/deeper", true),
        ] {
            let parsed: Pointer = pointer.parse().unwrap();
            assert_eq!(parsed.is_mistyped(&payload), mistyped, "{pointer}");
            let kept =
                super::super::sieve::Sieve::new([&parsed]).parse(payload.to_string().as_bytes()).unwrap();
            assert_eq!(parsed.is_mistyped(&kept), mistyped, "{pointer} of what is kept of the payload");
        }
    }

    #[test]
    fn a_pointer_knows_which_changes_it_may_read() {
        for (pointer, changed, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/id", true),
            ("/a/b", "/a/b/name", false),
            ("/a/b", "/a/c", false),
            ("/a/b", "/a", true),
            ("/m~1n", "/m~1n", true),
            ("/links/[rel=up]/href/[last]", "/links/3/href", true),
            ("/links/[rel=up]/href/[last]", "/links/3/rel", true),
            ("/links/[rel=up]/href/[last]", "/links/rel", true),
            ("/links/[rel=up]/href/[last]", "/links/3/title", false),
            ("/list/0/x", "/list/1/x", false),
        ] {
            let tokens: Vec<&str> = changed.split('/').skip(1).collect();
            assert_eq!(
                pointer.parse::<Pointer>().unwrap().may_read(&tokens),
                expected,
                "{pointer} {changed}"
            );
        }
    }

    #[test]
    fn what_is_no_pointer_or_points_at_card_data_is_refused() {
        for (text, why) in [
            ("", PointerError::Form),
            ("a/b", PointerError::Form),
            ("/a~2", PointerError::Form),
            ("/a~", PointerError::Form),
            ("/card/cvc", PointerError::CardData),
            ("/card/number", PointerError::CardData),
            ("/data/track2", PointerError::CardData),
        ] {
            assert_eq!(text.parse::<Pointer>(), Err(why), "{text}");
        }
        assert!("/order/number".parse::<Pointer>().is_ok());
    }
}
