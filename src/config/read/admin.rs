//! Reads `[admin]`: the operators with their tokens, and the names under which the admin listener may be addressed.

use crate::{
    access::{ONLY_OPERATOR, Operator, OperatorRole, Operators},
    config::{document::Section, scope::SecretScope},
    secret,
};
use secrecy::{ExposeSecret as _, SecretString};

/// The least length of an operator's token: short enough to type, and too long to be guessed over a network.
const MIN_TOKEN_BYTES: usize = 16;

const NAMES: &str = "1 to 64 letters, digits, \".\", \"_\" and \"-\"";

/// What `[admin]` says.
pub(in crate::config) struct AdminSection {
    /// The operators whose tokens are in scope.
    pub(in crate::config) operators: Operators,
    /// The token that a command uses: `token`, or else that of the first operator who may change things, or else of the first one.
    pub(in crate::config) token: Option<SecretString>,
    /// The names of hosts under which the admin listener may be addressed.
    pub(in crate::config) hosts: Vec<String>,
}

pub(super) fn admin(mut section: Section<'_>, scope: &SecretScope<'_>) -> AdminSection {
    let (is_all, is_command) = (matches!(scope, SecretScope::All), matches!(scope, SecretScope::AdminToken));
    section = section.resolving_secrets(is_all || is_command);
    let mut operators = Operators::default();
    let token = section.secret("token").filter(|token| is_strong(&section, "token", token));
    if let Some(token) = &token {
        let operator = Operator { name: ONLY_OPERATOR.into(), role: OperatorRole::Write };
        add(&mut operators, operator, token, &section, "token");
    }
    let mut is_answered = section.is_given("token");
    let mut tables = section.sections("operator");
    let declared: Vec<_> = tables.iter_mut().map(declared).collect();
    let preferred = declared.iter().position(|(_, role)| *role == Some(OperatorRole::Write)).unwrap_or(0);
    let mut chosen = token;
    for (place, (mut table, (name, role))) in tables.into_iter().zip(declared).enumerate() {
        let is_chosen = !is_answered && place == preferred;
        is_answered |= is_chosen;
        table = table.resolving_secrets(is_all || is_command && is_chosen);
        if !table.has("token") {
            table.wrong(&table.place("token"), "token", "this key is missing; each operator needs a token");
        }
        let token = table.secret("token").filter(|token| is_strong(&table, "token", token));
        if let (Some(name), Some(role), Some(token)) = (name, role, token) {
            add(&mut operators, Operator { name: name.as_str().into(), role }, &token, &table, "name");
            chosen = chosen.or_else(|| is_chosen.then_some(token));
        }
        table.end();
    }
    let hosts = hosts(&mut section);
    section.end();
    AdminSection { operators, token: chosen, hosts }
}

/// The name and the role of an operator. A missing or wrong one is `None`.
fn declared(table: &mut Section<'_>) -> (Option<String>, Option<OperatorRole>) {
    let name = table.required("name", NAMES, |text| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(is_part);
        if is_name { Ok(text.to_owned()) } else { Err("is not a name of an operator") }
    });
    let role = table.required("role", "\"read\" or \"write\"", |text| match text {
        "read" => Ok(OperatorRole::Read),
        "write" => Ok(OperatorRole::Write),
        _ => Err("is no role"),
    });
    (name, role)
}

/// Reports a token that is no secret.
fn is_strong(section: &Section<'_>, key: &'static str, token: &SecretString) -> bool {
    let checked = secret::check(token.expose_secret(), MIN_TOKEN_BYTES);
    if let Err(weakness) = checked {
        let remedy = "create one with `openssl rand -base64 24`";
        section.wrong(&section.place(key), key, &format!("the token {weakness}; {remedy}"));
    }
    checked.is_ok()
}

fn add(
    operators: &mut Operators,
    operator: Operator,
    token: &SecretString,
    section: &Section<'_>,
    key: &'static str,
) {
    let name = operator.name.to_string();
    if let Err(why) = operators.add(operator, token) {
        section.wrong(&section.place(key), key, &format!("the operator {name:?} {why}"));
    }
}

fn hosts(section: &mut Section<'_>) -> Vec<String> {
    const HOSTS: &str = "names of hosts without a port, e.g. [\"gateway-1\", \"gateway.internal\"]";
    let mut hosts = Vec::new();
    for (place, host) in section.texts("hosts", HOSTS).unwrap_or_default() {
        if is_host_name(&host) {
            hosts.push(host);
        } else {
            section.wrong(&place, "hosts", &format!("{host:?} is no name of a host; allowed: {HOSTS}"));
        }
    }
    hosts
}

/// Whether the text is a name as DNS has them: labels of letters, digits, "-" and "_", with dots between.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}
