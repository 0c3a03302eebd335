//! The sieve: it keeps the parts of a JSON payload that are read. The parser skips all others. They cost neither memory nor much
//! time, and what they hold, such as a customer's address or a card number, never becomes a value.

use super::pointer::Pointer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// The value that stands for a scalar in place of an object or list.
const OTHER: Value = Value::Bool(true);

/// The parts of one value that are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sieve {
    /// Whether the whole value is kept.
    whole: bool,
    /// The members that are kept if the value is an object, and what is kept of each.
    members: BTreeMap<Box<str>, Self>,
    /// What is kept of each item if the value is an array.
    items: Option<Box<Self>>,
}

impl Sieve {
    /// Builds a sieve that keeps what these pointers point at.
    pub(crate) fn new<'a>(pointers: impl IntoIterator<Item = &'a Pointer>) -> Self {
        let mut sieve = Self::default();
        for pointer in pointers {
            sieve.keep(pointer, Self { whole: true, ..Self::default() });
        }
        sieve
    }

    /// Extends the sieve by what `item` keeps of each item of the list at `list`.
    pub(crate) fn and_each(mut self, list: &Pointer, item: Self) -> Self {
        self.keep(list, Self { items: Some(Box::new(item)), ..Self::default() });
        self
    }

    /// Keeps also what `what` keeps of the value at a pointer.
    fn keep(&mut self, pointer: &Pointer, what: Self) {
        self.keep_at(pointer.tokens(), what);
    }

    /// Keeps also what `what` keeps of the value that these tokens lead to.
    fn keep_at(&mut self, tokens: &[Box<str>], what: Self) {
        let Some((token, rest)) = tokens.split_first() else { return self.join(what) };
        if let Some((key, _)) = Pointer::selector(token) {
            let item = self.items.get_or_insert_default();
            item.keep_at(&[key.into()], Self { whole: true, ..Self::default() });
            item.keep_at(rest, what.clone());
            // If there is an object in place of an array, it counts as the only item.
            self.keep_at(&[key.into()], Self { whole: true, ..Self::default() });
            return self.keep_at(rest, what);
        }
        // A number may be the index of an item, or the name of a member.
        if token.parse::<usize>().is_ok() {
            self.items.get_or_insert_default().keep_at(rest, what.clone());
        }
        self.members.entry(token.clone()).or_default().keep_at(rest, what);
    }

    /// Keeps also what another sieve keeps of the same value.
    fn join(&mut self, other: Self) {
        self.whole |= other.whole;
        for (name, sieve) in other.members {
            self.members.entry(name).or_default().join(sieve);
        }
        if let Some(items) = other.items {
            self.items.get_or_insert_default().join(*items);
        }
    }

    /// Parses a JSON text. Kept values stay where they are; the others are missing from their objects, or `null`. Fails if the text is
    /// not JSON. Skipped strings are not checked to be Unicode.
    pub(crate) fn parse(&self, text: &[u8]) -> serde_json::Result<Value> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let value = self.deserialize(&mut json)?;
        json.end()?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for &Sieve {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        if self.whole {
            return Value::deserialize(json);
        }
        json.deserialize_any(self)
    }
}

/// Visits a value that is not kept as a whole. Of a scalar only its existence is kept, since every pointer goes deeper.
impl<'de> Visitor<'de> for &Sieve {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(wanted) = members.next_key_seed(Member(self))? {
            match wanted {
                Some((name, sieve)) => drop(kept.insert(name.to_owned(), members.next_value_seed(sieve)?)),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(kept))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        if let Some(sieve) = &self.items {
            while let Some(item) = items.next_element_seed(&**sieve)? {
                kept.push(item);
            }
        } else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(Value::Array(kept))
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// Finds the sieve of a member by its name, without copying the name.
struct Member<'a>(&'a Sieve);

impl<'de, 'a> DeserializeSeed<'de> for Member<'a> {
    type Value = Option<(&'a str, &'a Sieve)>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Member<'a> {
    type Value = Option<(&'a str, &'a Sieve)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.members.get_key_value(name).map(|(name, sieve)| (&**name, sieve)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_pointed_at_is_kept_and_the_rest_is_not() {
        let text = br#"{"id":"e1","n":10.00,"data":{"object":{"id":"p","card":{"last4":"4242"},"amount":5}},"data2":[1,{}],
            "links":[{"rel":"self","href":"/a","x":1},{"rel":"up","href":"/b"},7],"list":[{"a":[1,2],"b":3}],"0":{"z":1}}"#;
        for (wanted, expected) in [
            (&["/id"][..], json!({ "id": "e1" })),
            (
                &["/data/object/id", "/data/object/amount"],
                json!({ "data": { "object": { "id": "p", "amount": 5 } } }),
            ),
            (
                &["/data/object/card", "/data/object/card/last4"],
                json!({ "data": { "object": { "card": { "last4": "4242" } } } }),
            ),
            (
                &["/links/[rel=up]/href/[last]"],
                json!({ "links": [{ "rel": "self", "href": "/a" }, { "rel": "up", "href": "/b" }, true] }),
            ),
            (&["/data/object/[id=p]/amount"], json!({ "data": { "object": { "id": "p", "amount": 5 } } })),
            (&["/list/0/a/1", "/0/z"], json!({ "list": [{ "a": [1, 2] }], "0": { "z": 1 } })),
            // A pointer that goes deeper finds nothing in a value of another type.
            (&["/id/x", "/data2/x", "/none"], json!({ "id": true, "data2": [] })),
        ] {
            let kept = Sieve::new(&pointers(wanted)).parse(text).unwrap();
            assert_eq!(kept, expected, "{wanted:?}");
        }
        let number = Sieve::new(&pointers(&["/n"])).parse(text).unwrap();
        assert_eq!(number.to_string(), r#"{"n":10.00}"#, "numbers keep their text");
    }

    #[test]
    fn items_of_a_list_are_sieved_alike() {
        let item = Sieve::new(&pointers(&["/id"]));
        let sieve = Sieve::new(&pointers(&["/live"])).and_each(&"/events".parse().unwrap(), item);
        let kept = sieve.parse(br#"{"live":true,"x":1,"events":[{"id":1,"y":2},{"y":3}]}"#).unwrap();
        assert_eq!(kept, json!({ "live": true, "events": [{ "id": 1 }, {}] }));
    }

    #[test]
    fn what_is_no_json_is_refused_wherever_it_is_not() {
        let sieve = Sieve::new(&pointers(&["/a/b"]));
        for text in [
            "",
            "{",
            r#"{"x":tru}"#,
            r#"{"x":1,}"#,
            r#"{"a":{"b":1}} x"#,
            r#"{"x":"\q"}"#,
            "{1:2}",
            r#"{"x":01}"#,
        ] {
            assert!(sieve.parse(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["1", "null", "\"x\"", "[]", "{}", "1e400"] {
            assert!(sieve.parse(text.as_bytes()).is_ok(), "{text}");
        }
    }

    const KEYS: [&str; 5] = ["a", "b", "0", "1", "id"];

    fn payload() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-b]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(proptest::sample::select(&KEYS), inner, 0..4).prop_map(
                    |members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                ),
            ]
        })
    }

    fn pointer() -> impl Strategy<Value = String> {
        let token =
            prop_oneof![proptest::sample::select(&KEYS).prop_map(str::to_owned), Just("[a=b]".to_owned())];
        proptest::collection::vec(token, 1..4).prop_map(|tokens| format!("/{}", tokens.join("/")))
    }

    proptest! {
        #[test]
        fn every_pointer_finds_in_what_is_kept_what_it_finds_in_all(
            payload in payload(),
            wanted in proptest::collection::vec(pointer(), 1..5),
        ) {
            let wanted: Vec<Pointer> = wanted.iter().map(|text| text.parse().unwrap()).collect();
            let kept = Sieve::new(&wanted).parse(payload.to_string().as_bytes()).unwrap();
            for pointer in &wanted {
                prop_assert_eq!(pointer.follow(&kept), pointer.follow(&payload), "{}", pointer);
                prop_assert_eq!(pointer.text(&kept), pointer.text(&payload));
                prop_assert_eq!(pointer.id(&kept), pointer.id(&payload));
            }
        }
    }
}
