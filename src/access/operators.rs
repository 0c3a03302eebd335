//! The operators: who may use the tools of the admin listener, each by a token with a name and a role.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};
use subtle::{Choice, ConstantTimeEq};

/// The name of the operator whose token is `[admin] token`.
pub const ONLY_OPERATOR: &str = "admin";

/// The most tokens of operators. Each request is compared with all of them, at about a microsecond each.
const MAX_OPERATORS: usize = 64;

/// What an operator may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperatorRole {
    /// Look at everything, and change nothing.
    Read,
    /// Change things too.
    Write,
}

/// An operator, as the tools know it that it uses.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// The name of its token, by which the audit trail knows it.
    pub name: Arc<str>,
    /// What it may do.
    pub role: OperatorRole,
    token: Hashed,
}

/// All operators, of which no two have the same name or the same token.
#[derive(Clone, Debug, Default)]
pub struct Operators(Arc<[Operator]>);

/// The SHA-256 of a token. All have the same length, so the time of a comparison says nothing about the length of a token either.
type Hashed = [u8; 32];

/// Why an operator cannot be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OperatorError {
    /// Another one has the name.
    #[error("has the name of another operator; give each a name of its own")]
    SameName,
    /// Another one has the token, so that nobody could tell which of the two it is.
    #[error("has the token of another operator; give each a token of its own")]
    SameToken,
    /// There are as many operators as there may be already.
    #[error("is one too many; there may be {MAX_OPERATORS}")]
    TooMany,
}

impl Operators {
    /// Adds an operator.
    pub fn add(&mut self, name: &str, role: OperatorRole, token: &SecretString) -> Result<(), OperatorError> {
        let operator = Operator { name: name.into(), role, token: hash(token.expose_secret().as_bytes()) };
        if self.0.len() >= MAX_OPERATORS {
            return Err(OperatorError::TooMany);
        }
        if self.0.iter().any(|known| known.name == operator.name) {
            return Err(OperatorError::SameName);
        }
        if self.0.iter().any(|known| known.token.ct_eq(&operator.token).into()) {
            return Err(OperatorError::SameToken);
        }
        self.0 = self.0.iter().cloned().chain([operator]).collect();
        Ok(())
    }

    /// Whether there is none, so that nobody is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The operator who has this token. A wrong token takes as long as a right one, since it is compared with all.
    #[must_use]
    pub fn who_has(&self, token: &[u8]) -> Option<Operator> {
        let given = hash(token);
        let compare = |found, (place, operator): (usize, &Operator)| {
            let is_same: Choice = operator.token.ct_eq(&given);
            if is_same.into() { place } else { found }
        };
        let found = self.0.iter().enumerate().fold(usize::MAX, compare);
        self.0.get(found).cloned()
    }

    /// The operator as it is now, if there still is one of its name with its token. Its role may have changed.
    #[must_use]
    pub fn present(&self, known: &Operator) -> Option<Operator> {
        self.0.iter().find(|operator| operator.name == known.name && operator.token == known.token).cloned()
    }

    /// Whether this is still an operator, with the same token and role.
    #[must_use]
    pub fn has(&self, operator: &Operator) -> bool {
        self.0.contains(operator)
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

fn hash(token: &[u8]) -> Hashed {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_of_one_operator_and_no_other_token_is_of_any() {
        let mut operators = Operators::default();
        assert!(operators.is_empty() && operators.who_has(b"").is_none());
        operators.add("ann", OperatorRole::Write, &"token-of-ann".into()).unwrap();
        operators.add("bob", OperatorRole::Read, &"token-of-bob".into()).unwrap();
        let same = operators.add("ann", OperatorRole::Write, &"another".into());
        assert_eq!(same, Err(OperatorError::SameName));
        let same = operators.add("eve", OperatorRole::Write, &"token-of-bob".into());
        assert_eq!(same, Err(OperatorError::SameToken));
        for (token, name, role) in
            [("token-of-ann", "ann", OperatorRole::Write), ("token-of-bob", "bob", OperatorRole::Read)]
        {
            let operator = operators.who_has(token.as_bytes()).unwrap();
            assert_eq!((&*operator.name, operator.role), (name, role));
            assert!(operators.has(&operator));
            let mut others = Operators::default();
            others.add(name, role, &"another-token".into()).unwrap();
            assert!(!others.has(&operator), "the token was replaced");
        }
        for wrong in [&b""[..], b"token-of-an", b"token-of-ann ", b"Token-of-ann", b"another"] {
            assert_eq!(operators.who_has(wrong), None);
        }
        assert!(!format!("{operators:?}").contains("token-of"));
    }

    #[test]
    fn there_are_only_so_many() {
        let mut operators = Operators::default();
        let mut add = |number: usize| {
            let (name, token) = (format!("operator-{number}"), format!("token-{number}"));
            operators.add(&name, OperatorRole::Read, &token.into())
        };
        assert!((0..MAX_OPERATORS).all(|number| add(number).is_ok()));
        assert_eq!(add(MAX_OPERATORS), Err(OperatorError::TooMany));
    }
}
