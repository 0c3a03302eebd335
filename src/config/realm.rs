//! The names of realms: the default one, and what messages say about the others.

/// The realm of sources and tokens that name none.
pub const DEFAULT_REALM: &str = "default";

/// Describes the allowed names, for messages.
pub(super) const ALLOWED: &str = "1 to 128 printable ASCII characters without a space, e.g. \"default\"";
