//! References to secrets. The configuration file contains no secret itself, so that it can be shown and shared.

use super::{environment::Environment, files::SecretFiles};
use secrecy::SecretString;
use std::path::PathBuf;

/// Describes what is allowed, for messages.
pub(super) const ALLOWED: &str = "a reference such as \"env:NAME\", \"file:path\" or \"credential:NAME\"";

/// The environment variable with the folder of the credentials that systemd passes to a service (`LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Whether the text is a reference to a secret rather than a secret itself.
pub(super) fn is_reference(text: &str) -> bool {
    ["env:", "file:", "credential:"].iter().any(|scheme| text.starts_with(scheme))
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
    } else if let Some(name) = reference.strip_prefix("credential:") {
        let path = credential(name, environment)?;
        files.read(&path).map_err(|error| {
            let unit = "pass it to the service by LoadCredential= in its unit, or name another one";
            format!("the credential {name} cannot be read ({error}); {unit}")
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

/// The file of a credential, which cannot lie outside the folder of the credentials.
fn credential(name: &str, environment: &Environment) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains('/') || [".", ".."].contains(&name) {
        return Err(format!(
            "{name:?} is no name of a credential; name a file of the credentials' folder, without a path"
        ));
    }
    let folder = environment.get(CREDENTIALS).filter(|folder| folder.starts_with('/'));
    let folder = folder.ok_or_else(|| {
        format!(
            "there are no credentials, because {CREDENTIALS} is not set; run as a service whose unit has LoadCredential=, or use \
             another kind of reference"
        )
    })?;
    Ok(PathBuf::from(folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::fs;

    #[test]
    fn a_credential_is_read_from_the_folder_that_the_service_manager_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("stripe.secret"), "whsec_8f3b1c2d9a7e\n").unwrap();
        fs::write(folder.path().join("empty"), "\n").unwrap();
        let environment = |folder: &str| Environment::from([(CREDENTIALS.to_owned(), folder.to_owned())]);
        let here = environment(folder.path().to_str().unwrap());
        let secret = referred("credential:stripe.secret", &here).unwrap();
        assert_eq!(secret.expose_secret(), "whsec_8f3b1c2d9a7e");
        for (name, environment, expected) in [
            ("stripe.secret", &Environment::new(), "CREDENTIALS_DIRECTORY is not set"),
            ("stripe.secret", &environment(""), "CREDENTIALS_DIRECTORY is not set"),
            ("stripe.secret", &environment("here"), "CREDENTIALS_DIRECTORY is not set"),
            ("other", &here, "the credential other cannot be read"),
            ("empty", &here, "is empty"),
            ("", &here, "is no name of a credential"),
            (".", &here, "is no name of a credential"),
            ("..", &here, "is no name of a credential"),
            ("../stripe.secret", &here, "is no name of a credential"),
            ("/etc/hostname", &here, "is no name of a credential"),
        ] {
            let refused = referred(&format!("credential:{name}"), environment).unwrap_err();
            assert!(refused.contains(expected), "{name}: {refused}");
        }
    }
}
