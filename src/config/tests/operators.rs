//! `[admin]`: who is an operator.

use super::{all_of_the_manual, mistakes, parse};
use crate::access::OperatorRole;
use std::fs;

#[test]
fn each_operator_has_a_name_a_role_and_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dashboards");
    fs::write(&path, "5f0c77aa8f3b1c2d9a7e55aa").unwrap();
    let manual = all_of_the_manual();
    let (_, admin) = manual.split_once("[admin]").unwrap();
    let (admin, _) = admin.split_once("[pages]").unwrap();
    let text = format!("[admin]{admin}").replace("/run/secrets/dashboards", path.to_str().unwrap());
    let config = parse(&text).unwrap();
    for (token, name, role) in [
        ("0123456789abcdef0123456789abcdef", "admin", OperatorRole::Write),
        ("fedcba9876543210fedcba9876543210", "ann", OperatorRole::Write),
        ("5f0c77aa8f3b1c2d9a7e55aa", "dashboards", OperatorRole::Read),
    ] {
        let operator = config.operators.who_has(token.as_bytes()).unwrap();
        assert_eq!((&*operator.name, operator.role), (name, role));
    }
}

#[test]
fn operators_who_could_be_mistaken_for_one_another_are_refused() {
    for (text, expected) in [
        (
            "[[admin.operator]]\nrole = \"read\"\ntoken = \"env:PAYSTREAM_ADMIN_TOKEN\"",
            "paystream.toml:1: [[admin.operator]] name: this key is missing; allowed: 1 to 64 letters",
        ),
        (
            "[[admin.operator]]\nname = \"a b\"\nrole = \"read\"\ntoken = \"env:PAYSTREAM_ADMIN_TOKEN\"",
            "[[admin.operator]] name: \"a b\" is not a name of an operator",
        ),
        (
            "[[admin.operator]]\nname = \"a\"\nrole = \"root\"\ntoken = \"env:PAYSTREAM_ADMIN_TOKEN\"",
            "[[admin.operator]] role: \"root\" is no role; allowed: \"read\" or \"write\"",
        ),
        (
            "[[admin.operator]]\nname = \"a\"\nrole = \"read\"",
            "[[admin.operator]] token: this key is missing",
        ),
        (
            "[[admin.operator]]\nname = \"a\"\nrole = \"read\"\ntoken = \"env:WEAK\"",
            "[[admin.operator]] token: the token is a placeholder",
        ),
        (
            "[admin]\ntoken = \"env:PAYSTREAM_ADMIN_TOKEN\"\n[[admin.operator]]\nname = \"admin\"\nrole = \"read\"\ntoken = \"env:ACME_API_KEY\"",
            "[[admin.operator]] name: the operator \"admin\" has the name of another operator",
        ),
        (
            "[admin]\ntoken = \"env:PAYSTREAM_ADMIN_TOKEN\"\n[[admin.operator]]\nname = \"a\"\nrole = \"read\"\ntoken = \"env:PAYSTREAM_ADMIN_TOKEN\"",
            "[[admin.operator]] name: the operator \"a\" has the token of another operator",
        ),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].contains(expected), "{} lacks {expected}", found[0]);
    }
}
