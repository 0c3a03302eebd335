//! Each command needs only the secrets that it uses.

use crate::{
    clock,
    config::{Environment, Operating, Posting, Signing, TokenSigner},
    payment::Name,
};
use secrecy::ExposeSecret;
use std::{fs, path::PathBuf, time::Duration};

/// Two sources, three keys, a Redis server and an admin token, each with a secret of its own.
const WHOLE: &str = r#"
[listen]
admin = "127.0.0.1:9191"
ingest = "127.0.0.1:8181"
[store]
kind = "redis"
url = "env:REDIS_URL"
[[source]]
name = "acme"
provider = "generic"
secrets = ["env:ACME_SECRET"]
[[source]]
name = "mollie"
provider = "mollie-classic"
secrets = ["env:MOLLIE_TOKEN"]
[source.api]
key = "env:MOLLIE_API_KEY"
[[access.key]]
kid = "check-only"
algorithm = "EdDSA"
public_key = "file:nowhere.pem"
realms = ["default"]
[[access.key]]
kid = "k1"
algorithm = "HS256"
secret = "env:K1"
realms = ["default"]
[[access.key]]
kid = "ops"
algorithm = "HS256"
secret = "env:OPS"
realms = ["default", "live"]
operator = true
[admin]
token = "env:ADMIN"
"#;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct Case {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Case {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("paystream.toml");
        fs::write(&file, text).unwrap();
        Self { file, _folder: folder }
    }

    fn sign(&self, variable: &str, kid: Option<&str>, realm: &str, all: bool) -> Result<Signing, String> {
        let realm: Name = realm.parse().unwrap();
        let signer = TokenSigner { kid, realm: &realm, all };
        Signing::load(&self.file, &with(variable), signer).map_err(|mistakes| mistakes.to_string())
    }
}

/// An environment that has only one secret.
fn with(variable: &str) -> Environment {
    [(variable.to_owned(), SECRET.to_owned())].into()
}

/// `token` needed the secrets of every provider.
#[test]
fn a_token_needs_no_secret_but_that_of_its_key() {
    let case = Case::new(WHOLE);
    let one = |name: &str| vec![name.parse::<Name>().unwrap()];
    let minute = Duration::from_secs(60);
    for (variable, kid, realm, payment) in [
        ("K1", None, "default", "pay_1"),
        ("K1", Some("k1"), "default", "pay_1"),
        ("OPS", Some("ops"), "default", "pay_1"),
        ("OPS", None, "live", "pay_1"),
        ("OPS", None, "default", "*"),
    ] {
        let signing = case.sign(variable, kid, realm, payment == "*").unwrap();
        assert_eq!(signing.kids, ["check-only", "k1", "ops"]);
        let token = signing.access.mint(kid, &realm.parse().unwrap(), &one(payment), minute, clock::now());
        assert!(token.is_ok(), "{variable} {kid:?} {realm}: {token:?}");
    }
    // The secret of the key that signs is needed, and no other.
    let error = case.sign("OPS", None, "default", false).unwrap_err();
    assert!(
        error.contains("the environment variable K1 is not set") && error.lines().count() == 1,
        "{error}"
    );
    assert!(case.sign("K1", None, "nowhere", false).unwrap().access.is_shut());
}

/// `trigger` needed the secrets of all sources and keys.
#[test]
fn posting_needs_no_secret_but_that_of_its_source() {
    let case = Case::new(WHOLE);
    let posting = Posting::load(&case.file, &with("ACME_SECRET"), "acme").unwrap();
    assert_eq!(posting.source.unwrap().name(), "acme");
    assert_eq!(posting.names, ["acme", "mollie"]);
    assert_eq!(posting.listen.ingest.port(), 8181);
    let nobody = Posting::load(&case.file, &with("NOTHING"), "nobody").unwrap();
    assert!(nobody.source.is_none() && nobody.names.len() == 2);
    let error = Posting::load(&case.file, &with("K1"), "acme").unwrap_err().to_string();
    assert!(error.contains("ACME_SECRET is not set") && error.lines().count() == 1, "{error}");
}

/// `reconcile` needed every secret, although the gateway sends the requests to the provider.
#[test]
fn the_operators_commands_need_no_secret_but_their_token() {
    let case = Case::new(WHOLE);
    let operating = Operating::load(&case.file, &with("ADMIN")).unwrap();
    assert_eq!(operating.token.unwrap().expose_secret(), SECRET);
    assert_eq!(operating.listen.admin.port(), 9191);
    let error = Operating::load(&case.file, &with("K1")).unwrap_err().to_string();
    assert!(error.contains("ADMIN is not set") && error.lines().count() == 1, "{error}");
}

#[test]
fn what_is_wrong_besides_secrets_is_told_to_every_command() {
    let case = Case::new(&WHOLE.replace("\"generic\"", "\"genric\"").replace("[listen]", "[lisen]"));
    let error = Operating::load(&case.file, &with("ADMIN")).unwrap_err().to_string();
    assert!(error.contains("did you mean generic?") && error.contains("did you mean listen?"), "{error}");
    let case = Case::new(&WHOLE.replace("env:MOLLIE_TOKEN", "s3cr3t-of-the-shop"));
    let error = case.sign("K1", None, "default", false).unwrap_err();
    assert!(
        error.contains("the value must be a reference and not the secret itself")
            && !error.contains("s3cr3t"),
        "{error}"
    );
}

/// An override of a secret is accepted by commands that do not resolve this secret.
#[test]
fn overrides_are_known_to_every_command() {
    let case = Case::new(&WHOLE.replace("url = \"env:REDIS_URL\"\n", ""));
    let mut environment = with("ADMIN");
    environment.insert("PAYSTREAM__STORE__URL".to_owned(), "env:REDIS_URL".to_owned());
    environment.insert("PAYSTREAM__STREAM__MAX_AGE".to_owned(), "10m".to_owned());
    assert!(Operating::load(&case.file, &environment).is_ok());
}

/// The other operators' tokens need not exist where the command runs.
#[test]
fn a_command_uses_the_token_of_an_operator_who_may_change_things() {
    let operators = "[[admin.operator]]\nname = \"bob\"\nrole = \"read\"\ntoken = \"env:BOB\"\n\
                     [[admin.operator]]\nname = \"ann\"\nrole = \"write\"\ntoken = \"env:ANN\"\n";
    let case = Case::new(&WHOLE.replace("[admin]\ntoken = \"env:ADMIN\"\n", operators));
    let operating = Operating::load(&case.file, &with("ANN")).unwrap();
    assert_eq!(operating.token.unwrap().expose_secret(), SECRET);
    let error = Operating::load(&case.file, &with("BOB")).unwrap_err().to_string();
    assert!(error.contains("ANN is not set") && error.lines().count() == 1, "{error}");
    let only_bob = operators.split_once("[[admin.operator]]\nname = \"ann\"").unwrap().0;
    let case = Case::new(&WHOLE.replace("[admin]\ntoken = \"env:ADMIN\"\n", only_bob));
    assert!(Operating::load(&case.file, &with("BOB")).unwrap().token.is_some());
}
