//! Secrets by reference, so that the file can be shown and shared.

use super::Environment;
use secrecy::SecretString;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is allowed, for messages.
pub(super) const ALLOWED: &str = "a reference: \"env:NAME\" or \"file:path\"";

/// The largest secret that a file may hold: an RSA key of 8192 bits in PEM has 6.4 kB.
const MAX_BYTES: u64 = 64 << 10;

/// Whether this names a secret, and is not one.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Follows a reference; `locate` makes a path absolute. The error never quotes what was typed unless it is a reference, since
/// it may be the secret itself.
pub(super) fn resolve(
    reference: &str,
    environment: &Environment,
    locate: impl FnOnce(&str) -> PathBuf,
) -> Result<SecretString, String> {
    let secret = if let Some(name) = reference.strip_prefix("env:") {
        let value = environment.get(name);
        value
            .cloned()
            .ok_or_else(|| format!("the environment variable {name} is not set; set it, or name another"))?
    } else if let Some(path) = reference.strip_prefix("file:") {
        let path = locate(path);
        read(&path).map_err(|error| format!("the file {} cannot be read: {error}", path.display()))?
    } else {
        return Err(format!(
            "is written out, but secrets do not belong in this file; allowed: {ALLOWED}; put it there and, if this file was \
             shared, change it"
        ));
    };
    if secret.trim().is_empty() {
        return Err(format!("{reference} is empty"));
    }
    Ok(secret.into())
}

/// The file's text without the line break at its end, which editors and `echo` add.
fn read(path: &Path) -> Result<String, std::io::Error> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let text = fs::read_to_string(path)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
