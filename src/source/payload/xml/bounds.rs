//! The bounds of an XML document, checked in one pass over its text before it is parsed.
//!
//! The parser compares each attribute of a tag with all others of the tag, and each prefix with all declared name spaces, so its time
//! is the product of these numbers. They are bounded here, and so is the length of the document; then the parser takes at most a few
//! milliseconds.

use super::error::XmlError;
use memchr::memmem;

/// The bounds of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XmlBounds {
    /// The most bytes.
    pub(crate) bytes: usize,
    /// The most attributes of one tag.
    pub(crate) attributes: usize,
    /// How often a name space may be declared.
    pub(crate) name_spaces: usize,
    /// How many levels deep elements may nest.
    pub(crate) depth: usize,
}

impl XmlBounds {
    /// The bounds of webhooks. Those of Worldpay have a few kilobytes, four attributes in a tag and no name space.
    pub(crate) const WEBHOOK: Self = Self { bytes: 64 << 10, attributes: 64, name_spaces: 64, depth: 32 };

    /// The bounds of Braintree's documents. Those about a subscription contain its last 20 transactions with all that is known of
    /// them: one with ten was seen to have 81 KB.
    pub(crate) const BRAINTREE: Self = Self { bytes: 192 << 10, ..Self::WEBHOOK };

    /// Checks everything but the depth, which is checked as the elements are read. Fails also if the text has an internal DTD, in which
    /// entities would be declared. Whether a text within the bounds is XML is not checked.
    pub(super) fn check(self, text: &str) -> Result<(), XmlError> {
        if text.len() > self.bytes {
            return Err(XmlError::TooLong);
        }
        // A declaration without this name does not exist; a text that only contains the name counts as one.
        if memmem::find_iter(text.as_bytes(), "xmlns").take(self.name_spaces + 1).count() > self.name_spaces {
            return Err(XmlError::TooManyAttributes);
        }
        let mut rest = text.as_bytes();
        while let Some(at) = memchr::memchr(b'<', rest) {
            rest = rest.get(at..).unwrap_or_default();
            rest = match Skipped::of(rest) {
                Some(Skipped { opening, closing }) => after(rest, opening.len(), closing),
                None => self.after_tag(rest)?,
            };
        }
        Ok(())
    }

    /// Returns what follows the tag or document type that has begun. Fails if it has too many attributes, or an internal DTD.
    fn after_tag(self, tag: &[u8]) -> Result<&[u8], XmlError> {
        let is_doctype = tag.starts_with(b"<!");
        let (mut rest, mut values) = (tag.get(1..).unwrap_or_default(), 0);
        loop {
            let Some((byte, next)) = rest.split_first() else { return Ok(rest) };
            rest = match byte {
                b'>' => return Ok(next),
                b'[' if is_doctype => return Err(XmlError::Malformed),
                b'"' | b'\'' => {
                    values += 1;
                    if values > self.attributes {
                        return Err(XmlError::TooManyAttributes);
                    }
                    after(next, 0, std::slice::from_ref(byte))
                }
                _ => next,
            };
        }
    }
}

/// A part of a document that may contain any text: where it opens, `<` and `>` are no tags until it closes.
struct Skipped {
    opening: &'static [u8],
    closing: &'static [u8],
}

impl Skipped {
    const ALL: [Self; 3] = [
        Self { opening: b"<!--", closing: b"-->" },
        Self { opening: b"<![CDATA[", closing: b"]]>" },
        Self { opening: b"<?", closing: b"?>" },
    ];

    /// Returns the part that opens at the beginning of a text, if there is one.
    fn of(text: &[u8]) -> Option<&'static Self> {
        Self::ALL.iter().find(|part| text.starts_with(part.opening))
    }
}

/// Returns what follows the first `closing` after `skipped` bytes, or nothing if there is none.
fn after<'a>(text: &'a [u8], skipped: usize, closing: &[u8]) -> &'a [u8] {
    let text = text.get(skipped..).unwrap_or_default();
    let end = memmem::find(text, closing).map_or(text.len(), |at| at + closing.len());
    text.get(end..).unwrap_or_default()
}
