//! The parser of lines that carry signatures. It is pure and bounded, and decides nothing: it only says which texts claim to be
//! signatures, and which fields stand beside them.

use super::recipe::{Gap, Item, ItemToken, Recipe};

/// The most signatures of one delivery that are looked at. A rotation needs two or three.
pub(super) const MAX_SIGNATURES: usize = 16;

/// The most items of a line that are looked at.
const MAX_ITEMS: usize = 64;

/// One line that carries signatures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The fields beside the signatures: name and text.
    fields: Vec<(&'a str, &'a str)>,
    /// The texts that claim to be signatures.
    pub(super) claims: Vec<Claim<'a>>,
}

/// A text that claims to be a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim<'a> {
    /// The index of the method whose form the text has.
    pub(super) method: usize,
    /// The id of the key that the text names.
    pub(super) key_id: Option<&'a str>,
    /// The signature as it is written.
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    /// Parses a line. Returns `None` if a field occurs twice with different texts, since it is not clear which one was signed.
    pub(super) fn read(recipe: &'a Recipe, line: &'a str) -> Option<Self> {
        let mut read = Self::default();
        match recipe.separator {
            None => read.item(recipe, line.trim())?,
            Some(separator) => {
                for item in line.split(separator).take(MAX_ITEMS) {
                    read.item(recipe, item.trim())?;
                }
            }
        }
        read.claims.truncate(MAX_SIGNATURES);
        Some(read)
    }

    fn item(&mut self, recipe: &'a Recipe, text: &'a str) -> Option<()> {
        for (index, method) in recipe.methods.iter().enumerate() {
            let Some(gaps) = method.items.iter().find_map(|item| fill(item, text)) else { continue };
            let text_in = |wanted| gaps.iter().find(|(gap, _)| **gap == wanted).map(|(_, text)| *text);
            if let Some(text) = text_in(Gap::Signature) {
                self.claims.push(Claim { method: index, key_id: text_in(Gap::KeyId), text });
                continue;
            }
            for (gap, text) in gaps {
                let Gap::Field(name) = gap else { continue };
                match self.field(name) {
                    Some(known) if known != text => return None,
                    Some(_) => {}
                    None => self.fields.push((name, text)),
                }
            }
        }
        Some(())
    }

    /// Returns the text of a field.
    pub(super) fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }
}

/// Returns the texts in the gaps of an item, or `None` if the text does not have the item's form. A gap is never empty.
fn fill<'a>(item: &'a Item, mut text: &'a str) -> Option<Vec<(&'a Gap, &'a str)>> {
    let mut gaps = Vec::new();
    let mut tokens = item.0.iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            ItemToken::Text(expected) => text = text.strip_prefix(expected.as_str())?,
            ItemToken::Gap(gap) => {
                let end = match tokens.peek() {
                    Some(ItemToken::Text(next)) => text.find(next.as_str())?,
                    _ => text.len(),
                };
                let (filling, rest) = text.split_at(end);
                if filling.is_empty() {
                    return None;
                }
                gaps.push((gap, filling));
                text = rest;
            }
        }
    }
    text.is_empty().then_some(gaps)
}

/// Writes a line that carries one signature by a method and the fields beside it, for signing.
pub(super) fn write(recipe: &Recipe, method: usize, fill: impl Fn(&Gap) -> String) -> String {
    let items = recipe.methods.get(method).map(|method| method.items.as_slice()).unwrap_or_default();
    let written = items.iter().map(|item| {
        let tokens = item.0.iter().map(|token| match token {
            ItemToken::Text(text) => text.clone(),
            ItemToken::Gap(gap) => fill(gap),
        });
        tokens.collect::<String>()
    });
    let separator = recipe.separator.map(String::from).unwrap_or_default();
    written.collect::<Vec<_>>().join(&separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::preset;

    /// The id of the key that a signature names, and the signature.
    type Found<'a> = (Option<&'a str>, &'a str);

    /// Returns what a preset's recipe finds in a line: the text of a field, and the signatures with their keys.
    fn found<'a>(
        recipe: &'a Recipe,
        line: &'a str,
        field: &str,
    ) -> Option<(Option<&'a str>, Vec<Found<'a>>)> {
        let line = Line::read(recipe, line)?;
        let claims = line.claims.iter().map(|claim| (claim.key_id, claim.text)).collect();
        Some((line.field(field), claims))
    }

    #[test]
    fn lines_are_taken_apart_and_unknown_schemes_are_left_out() {
        for (preset, line, time, signatures) in [
            ("generic", " ab ", None, vec!["ab"]),
            ("generic", "  ", None, vec![]),
            ("stripe", "t=1,v1=a,v1=b,v0=c", Some("1"), vec!["a", "b"]),
            ("stripe", "v0=c,t=1", Some("1"), vec![]),
            ("stripe", " t=1 , v1=a=b", Some("1"), vec!["a=b"]),
            ("stripe", "t=1,t=1,v1=a", Some("1"), vec!["a"]),
            ("stripe", "junk,,v1=,=,v1", None, vec![]),
            ("standard-webhooks", "v1,a v1a,b v2,c  v1,d", None, vec!["a", "b", "d"]),
            ("standard-webhooks", "v1 v1, a", None, vec![]),
            ("mollie", "sha256=ab", None, vec!["ab"]),
            ("mollie", "sha512=ab", None, vec![]),
            ("mollie", "sha256=", None, vec![]),
            ("paddle", "ts=1;h1=a;h1=b", Some("1"), vec!["a", "b"]),
            ("dlocal", "V2-HMAC-SHA256, Signature: ab", None, vec!["ab"]),
        ] {
            let recipe = preset::recipe_of(preset);
            let field = if preset == "paddle" { "ts" } else { "t" };
            let signatures = signatures.into_iter().map(|text| (None, text)).collect();
            assert_eq!(found(&recipe, line, field), Some((time, signatures)), "{preset}: {line}");
        }
        let stripe = preset::recipe_of("stripe");
        assert_eq!(Line::read(&stripe, "t=1,t=2,v1=a"), None, "which time was signed?");
        let many = "v1=a,".repeat(1000);
        assert_eq!(Line::read(&stripe, &many).unwrap().claims.len(), MAX_SIGNATURES);
    }

    #[test]
    fn signatures_name_their_keys() {
        let worldpay = preset::recipe_of("worldpay");
        assert_eq!(
            found(&worldpay, "1/SHA256/ab,2/SHA256/cd, 3/SHA1/ef,/SHA256/00", "t"),
            Some((None, vec![(Some("1"), "ab"), (Some("2"), "cd")]))
        );
    }
}
