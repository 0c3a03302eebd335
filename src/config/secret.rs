//! References to secrets. The configuration file contains no secret itself, so that it can be shown and shared.

use super::{environment::Environment, files::SecretFiles};
use secrecy::SecretString;
use std::path::PathBuf;

/// Describes what is allowed, for messages.
pub(super) const ALLOWED: &str = "a reference such as \"env:NAME\" or \"file:path\"";

/// Whether the text is a reference to a secret rather than a secret itself.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Reads the secret that a reference names, which was given to a command. The error completes a sentence that names the argument.
pub fn referred(reference: &str, environment: &Environment) -> Result<SecretString, String> {
    resolve(reference, environment, |path| path.into(), &mut SecretFiles::default())
}

/// Reads the secret that a reference names. `locate` makes a path absolute, and `files` remembers what was read. The error quotes the text only if it is a reference,
/// because otherwise it may be the secret itself.
pub(super) fn resolve(
    reference: &str,
    environment: &Environment,
    locate: impl FnOnce(&str) -> PathBuf,
    files: &mut SecretFiles,
) -> Result<SecretString, String> {
    let secret = if let Some(name) = reference.strip_prefix("env:") {
        let value = environment.get(name);
        value.cloned().ok_or_else(|| {
            format!("the environment variable {name} is not set; set it, or name another variable")
        })?
    } else if let Some(path) = reference.strip_prefix("file:") {
        let path = locate(path);
        files.read(&path).map_err(|error| {
            format!("the file {} cannot be read ({error}); create it, or name another file", path.display())
        })?
    } else {
        return Err(format!(
            "the value must be a reference and not the secret itself; allowed: {ALLOWED}; move the secret there and, if it was \
             shared, replace it by a new one"
        ));
    };
    if secret.trim().is_empty() {
        return Err(format!("the secret {reference} is empty; give it a value"));
    }
    Ok(secret.into())
}
