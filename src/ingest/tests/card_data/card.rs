//! Cards of all networks, and the ways in which they get into payloads.

use super::super::{senders::Sender, *};
use crate::source::testing::BodyForm;
use proptest::sample::{Index, select};

/// A card, as somebody wrote it into a payload.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) digits: String,
    pub(super) written: String,
    /// The digits of the security code.
    cvv: String,
    /// A text that occurs nowhere else, in place of a code or track.
    pub(super) mark: String,
}

/// Where a card was written into a delivery.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The card replaces a text or number.
    Instead,
    /// The card replaces a value, as a number.
    Number,
    /// The card is in the middle of a text, with its code.
    Amid,
    /// The card is a key, beside another key whose name says what it holds.
    Key(&'static str),
    /// The card is in an object of its own.
    Nested,
    /// The card is in the headers and the query.
    Beside,
}

/// The prefixes of the networks, and how many digits their numbers have.
const SCHEMES: [(&str, usize); 22] = [
    ("4", 13),
    ("4", 16),
    ("4", 19),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("65", 16),
    ("36", 14),
    ("38", 14),
    ("3528", 16),
    ("3589", 16),
    ("62", 17),
    ("62", 19),
    ("5018", 16),
    ("6759", 18),
    ("2200", 16),
    ("506699", 16),
    ("9792", 16),
];

const CARD_KEYS: [&str; 10] = [
    "cvc",
    "CVV",
    "cvv2",
    "security_code",
    "card_number",
    "cardNo",
    "pan",
    "track1",
    "track2_data",
    "pin_block",
];

pub(super) fn card() -> impl Strategy<Value = Card> {
    let digits = (select(SCHEMES.to_vec()), proptest::collection::vec(0_u32..10, 19)).prop_map(
        |((prefix, length), random)| {
            let random = random.iter().filter_map(|digit| char::from_digit(*digit, 10));
            let body: String = prefix.chars().chain(random).take(length - 1).collect();
            let check = (0..10)
                .map(|check| format!("{body}{check}"))
                .find(|number| crate::redact::is_pan_like(number));
            check.expect("one of ten digits passes")
        },
    );
    let gaps =
        prop_oneof![3 => Just(String::new()), 4 => "[ -]", 2 => "[ ._/:+,|*~-]", 1 => "[ ._/:+,|*~-]{2}"];
    let expiries = select(vec!["", "", "", " 12/26", "1226", "|12|26"]);
    (digits, gaps, any::<bool>(), expiries, "[0-9]{3,4}", "[a-z]{12}").prop_map(
        |(digits, gap, amex, expiry, cvv, mark)| {
            let breaks: &[usize] = if amex { &[4, 10] } else { &[4, 8, 12, 16] };
            let mut written = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if breaks.contains(&place) {
                    written.push_str(&gap);
                }
                written.push(digit);
            }
            written.push_str(expiry);
            Card { digits, written, cvv, mark }
        },
    )
}

pub(super) fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        3 => Just(Place::Instead),
        2 => Just(Place::Number),
        2 => Just(Place::Amid),
        2 => select(CARD_KEYS.to_vec()).prop_map(Place::Key),
        1 => Just(Place::Nested),
        1 => Just(Place::Beside),
    ]
}

impl Card {
    /// Returns the texts that may not be found anywhere. The first six digits and the last four may be shown.
    pub(super) fn forbidden(&self) -> Vec<String> {
        let Self { digits, written, cvv, mark } = self;
        let mut all = vec![digits.clone(), written.clone()];
        // Fewer digits could be part of a time.
        all.extend(digits.get(..digits.len() - 4).filter(|start| start.len() > 10).map(str::to_owned));
        all.extend([mark.clone(), format!("cvv={cvv}"), format!("cvc: {cvv}"), format!("cvc\":\"{cvv}")]);
        all
    }

    pub(super) fn amid(&self) -> String {
        format!(
            "card {}, cvv={} \r\n \"cvc\":\"{}\" track2=;{}=",
            self.written, self.cvv, self.cvv, self.digits
        )
    }
}

/// Returns the payload with the card in it.
pub(super) fn salted(sender: &Sender, payload: &Value, card: &Card, place: &Place, index: Index) -> Value {
    let mut payload = payload.clone();
    let (mut leaves, mut objects) = (Vec::new(), Vec::new());
    places(&payload, String::new(), &mut leaves, &mut objects);
    leaves.retain(|at| !sender.exempt.contains(&within_event(sender, at)));
    let leaf = leaves.get(index.index(leaves.len().max(1))).and_then(|at| payload.pointer_mut(at));
    match (place, leaf) {
        (Place::Instead, Some(leaf)) => *leaf = card.written.clone().into(),
        (Place::Number, Some(leaf)) => *leaf = serde_json::from_str(&card.digits).unwrap(),
        (Place::Amid, Some(leaf)) => *leaf = card.amid().into(),
        _ => {}
    }
    let object = objects.get(index.index(objects.len().max(1))).and_then(|at| payload.pointer_mut(at));
    let Some(object) = object.and_then(Value::as_object_mut) else { return payload };
    match place {
        // The name of an XML element cannot begin with a digit.
        Place::Key(key) => {
            let number = if matches!(sender.body, BodyForm::Json | BodyForm::JsonOrEmpty) {
                card.written.clone()
            } else {
                format!("n{}", card.digits)
            };
            object.insert(number.replace(' ', "-"), "x".into());
            object.insert((*key).to_owned(), card.mark.clone().into());
        }
        Place::Nested => {
            let card = json!({ "number": card.digits, "cvc": card.mark, "holder": { "note": [card.amid(), card.written] } });
            object.insert("x-card".to_owned(), card);
        }
        _ => {}
    }
    payload
}

/// Collects the pointers to all scalars and to all objects.
fn places(value: &Value, at: String, leaves: &mut Vec<String>, objects: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                places(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), leaves, objects);
            }
            objects.push(at);
        }
        Value::Array(items) => {
            (0..)
                .zip(items)
                .for_each(|(index, item): (usize, _)| places(item, format!("{at}/{index}"), leaves, objects));
        }
        Value::Null => {}
        _ => leaves.push(at),
    }
}

/// Returns a pointer into a payload as the mapping has it, which begins at an event.
fn within_event(sender: &Sender, at: &str) -> String {
    let item = sender.each.as_ref().and_then(|each| at.strip_prefix(each.as_str())?.strip_prefix('/'));
    let within = item.map_or(at, |item| item.find('/').map_or("", |slash| &item[slash..]));
    // For an expanded object, its id counts.
    within.to_owned()
}
