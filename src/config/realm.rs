//! The names of realms: the default one, and what messages say about the others.

use crate::payment::{LABEL_REALM, Name, PART_REALM};

/// The realm of sources and tokens that name none.
pub const DEFAULT_REALM: &str = "default";

/// Describes the allowed names, for messages.
pub(super) const ALLOWED: &str = "1 to 128 printable ASCII characters without a space that do not begin with \"label:\" or \"part:\", e.g. \"default\"";

/// Reads the name of a realm.
pub(super) fn name(text: &str) -> Result<Name, &'static str> {
    // The logs of labels and of parts are stored under such names.
    let is_free = ![LABEL_REALM, PART_REALM].iter().any(|prefix| text.starts_with(prefix));
    text.parse().ok().filter(|_| is_free).ok_or("is not the name of a realm")
}
