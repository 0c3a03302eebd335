//! What an error means that the server answers or the client library reports: whether it passes by itself, whether an
//! operator has to act, and how a log or an operator reads it. Pure.

use redis::{ErrorKind, RedisError, ServerError, Value};

/// Why the store does not use a server.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// The server may become fit by itself; the text is the present reason.
    #[error("{0}")]
    NotYet(String),
    /// An operator has to change something; each text is one fault with its remedy.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
}

impl Unfit {
    /// Classifies an error that the server answers while it is being checked: a missing permission and a missing command need an operator.
    pub(super) fn refused(error: &ServerError) -> Self {
        if is_command_missing(error) {
            let remedy = "it lacks a command that the store cannot do without, such as those for scripts or for sharded publish and \
                          subscribe; use Redis 7 or Valkey 7.2 with all of their commands, or a service that has them";
            return Self::Wrong(vec![format!("{}; {remedy}", told(error))]);
        }
        if error.code() != "NOPERM" {
            return Self::NotYet(told(error));
        }
        let remedy = "a gateway's user needs the keys and channels of its prefix, and INFO, ROLE, CONFIG GET, EVAL, EVALSHA, \
                      SCRIPT LOAD, TIME, WAIT, MULTI, EXEC, GET, SET, EXISTS and the commands on hashes, sets, sorted sets, \
                      streams and sharded channels";
        Self::Wrong(vec![format!("{}; {remedy}", told(error))])
    }

    /// Classifies a failure to connect: only a refused login needs an operator.
    pub(super) fn unconnected(error: &RedisError) -> Self {
        if is_login_refused(error) {
            let remedy = "mend the user in url or the password under [store]";
            return Self::Wrong(vec![format!("it refuses user or password; {remedy}")]);
        }
        Self::NotYet(in_words(error))
    }
}

/// Whether a server has no such command, when it is asked for directly or from a script.
fn is_command_missing(error: &ServerError) -> bool {
    let details = error.details().unwrap_or_default().to_ascii_lowercase();
    ["unknown command", "unknown redis command", "invalid command passed to redis.acl_check_cmd"]
        .iter()
        .any(|words| details.contains(words))
}

/// Whether a failed greeting is a refused login. `HELLO` answers with these codes if the user or the password is wrong or
/// missing, or if the user lacks the permission.
fn is_login_refused(error: &RedisError) -> bool {
    let refused = error.code().is_some_and(|code| ["WRONGPASS", "NOAUTH", "NOPERM"].contains(&code));
    refused || error.kind() == ErrorKind::AuthenticationFailed
}

/// Returns the first error that an answer holds.
pub(super) fn refusal(answer: &Value) -> Option<&ServerError> {
    match answer {
        Value::ServerError(error) => Some(error),
        Value::Array(answers) => answers.iter().find_map(refusal),
        _ => None,
    }
}

/// Whether an error passes by itself, as it does while a server starts, changes its role or moves a slot.
pub(super) fn passes(error: &ServerError) -> bool {
    const PASSING: [&str; 9] = [
        "LOADING",
        "READONLY",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "MOVED",
        "ASK",
        "BUSY",
        "NOREPLICAS",
    ];
    PASSING.contains(&error.code())
}

/// Returns an error of the server as text. Redis may quote the first words of the command in it; no command of this store
/// carries a secret or a payload there.
pub(super) fn told(error: &ServerError) -> String {
    format!("{} {}", error.code(), error.details().unwrap_or_default()).trim_end().to_owned()
}

/// Returns an error of the client library as text. The text of an invalid address may quote the password, so a fixed
/// sentence replaces it.
pub(super) fn in_words(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::InvalidClientConfig => "the address or the certificates cannot be used".to_owned(),
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}
