//! Reads the keys of a table whose values are references to secrets.

use super::{Location, Section};
use crate::config::secret;
use secrecy::{ExposeSecret as _, SecretString};
use std::path::Path;

impl Section<'_> {
    /// The secret that the value of `key` refers to.
    pub(in crate::config) fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        let (place, reference) = self.text(key, secret::ALLOWED)?;
        self.resolve(&place, key, &reference)
    }

    /// The content of the file at a path. Whoever watches the files with secrets watches it too. `None` as of a secret.
    pub(in crate::config) fn file(&mut self, key: &'static str, allowed: &str) -> Option<String> {
        let (place, path) = self.text(key, allowed)?;
        let content = self.resolve(&place, key, &format!("file:{path}"))?;
        Some(content.expose_secret().to_owned())
    }

    /// Whether references to secrets are resolved.
    pub(in crate::config) const fn resolves_secrets(&self) -> bool {
        self.resolves_secrets
    }

    /// The same table, with its references to secrets resolved or not. A reference that is not resolved has no value, and that is no
    /// mistake.
    pub(in crate::config) const fn resolving_secrets(mut self, resolves: bool) -> Self {
        self.resolves_secrets = resolves;
        self
    }

    /// The secret that a reference refers to. It is `None` after a mistake, or if this table does not resolve secrets.
    pub(in crate::config) fn resolve(
        &self,
        place: &Location,
        key: &str,
        reference: &str,
    ) -> Option<SecretString> {
        if secret::is_reference(reference) && !self.resolves_secrets {
            return None;
        }
        let locate = |path: &str| self.document.absolute(place, Path::new(path));
        let mut files = self.document.files.borrow_mut();
        match secret::resolve(reference, self.document.environment, locate, &mut files) {
            Ok(secret) => Some(secret),
            Err(why) => {
                self.wrong(place, key, &why);
                None
            }
        }
    }
}
