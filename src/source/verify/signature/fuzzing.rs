//! Properties that hold for any signature line. See [`crate::fuzzing`].

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a property that does not hold ends the run, as in a test"
)]

use super::{
    header::{self, Claim, Line, MAX_SIGNATURES},
    recipe::{Gap, Item, ItemToken, Recipe},
};
use crate::{
    fuzzing::request::{self, Request},
    source::preset,
};
use std::sync::LazyLock;

/// The parser of lines invents nothing: every claim, written back, is one of the line's items, and a line that is written with the
/// claim is read as the same. The input is a line that names a preset, and then the header's text.
pub fn header(input: &[u8]) {
    static RECIPES: LazyLock<Vec<(&str, Recipe)>> =
        LazyLock::new(|| preset::recipes().into_iter().map(|name| (name, preset::recipe_of(name))).collect());
    let request = Request::read(input);
    let (_, recipe) = request.pick(&RECIPES);
    let (_, line) = request::line(input);
    let Ok(line) = std::str::from_utf8(line) else { return };
    let items: Vec<&str> = match recipe.separator {
        None => vec![line.trim()],
        Some(separator) => line.split(separator).map(str::trim).collect(),
    };
    let Some(read) = Line::read(recipe, line) else {
        assert!(says_something_twice(recipe, &items), "{line:?} is refused for nothing");
        return;
    };
    assert!(read.claims.len() <= MAX_SIGNATURES);
    for claim in &read.claims {
        let methods = &recipe.methods[claim.method];
        let mut written = methods.items.iter().filter_map(|item| write(item, claim));
        assert!(written.any(|item| items.contains(&item.as_str())), "{line:?} claims no {claim:?}");
        let field = |gap: &Gap| match gap {
            Gap::Signature => claim.text.to_owned(),
            Gap::KeyId => claim.key_id.unwrap_or("1").to_owned(),
            Gap::Field(name) => read.field(name).unwrap_or("1").to_owned(),
        };
        let again = header::write(recipe, claim.method, field);
        let again = Line::read(recipe, &again).expect("what is written is read");
        assert!(again.claims.contains(claim), "{claim:?} of {line:?} became {again:?}");
        for name in methods.items.iter().flat_map(Item::fields) {
            assert_eq!(again.field(name), Some(read.field(name).unwrap_or("1")), "{name} of {line:?}");
        }
    }
}

/// Returns the text of the item that makes such a claim.
fn write(item: &Item, claim: &Claim<'_>) -> Option<String> {
    let tokens = item.0.iter().map(|token| match token {
        ItemToken::Text(text) => Some(text.as_str()),
        ItemToken::Gap(Gap::Signature) => Some(claim.text),
        ItemToken::Gap(Gap::KeyId) => claim.key_id,
        ItemToken::Gap(Gap::Field(_)) => None,
    });
    tokens.collect()
}

/// Returns whether two items give different texts to one field. Fields are items of their own, `name=text`.
fn says_something_twice(recipe: &Recipe, items: &[&str]) -> bool {
    recipe.methods.iter().flat_map(|method| &method.items).any(|item| {
        let [ItemToken::Text(name), ItemToken::Gap(_)] = item.0.as_slice() else { return false };
        let mut texts: Vec<&str> = items.iter().filter_map(|item| item.strip_prefix(name.as_str())).collect();
        texts.dedup();
        !item.is_signature() && texts.len() > 1
    })
}
