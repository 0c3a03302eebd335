use super::{known::OWN, *};
use std::time::Duration;

const CERTIFICATES: &str = r#"[signature.certificates]
header = "x-cert"
live = { below = "https://a.example/certs/", name = "a.example" }
test = { below = "https://test.a.example/certs/", name = "test.a.example" }
issuers = "http://ca.example/"
[event]"#;

#[test]
fn every_built_in_preset_loads_under_the_name_of_its_file() {
    for name in presets() {
        match built_in(name).unwrap() {
            Ok(preset) => assert_eq!(&*preset.name, name),
            Err(why) => {
                assert!(["standard-webhooks", "svix"].contains(&name) && why.key == "map", "{why}");
                assert_eq!(of_text(&own_of(name)).unwrap().scheme, Scheme::Recipe(recipe_of(name).into()));
            }
        }
    }
    assert!(built_in("stripe ").is_none());
}

#[test]
fn the_presets_of_the_how_to_load() {
    let how_to = include_str!("../../../docs/src/providers/adding-a-provider.md");
    let blocks = how_to.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let presets: Vec<_> = blocks
        .map(|(block, _)| block)
        .filter(|block| block.contains("name = ") && !block.contains("[[source]]"))
        .collect();
    assert_eq!(presets.len(), 2);
    for preset in presets {
        of_text(preset).unwrap();
    }
    let confirm = how_to.split("```toml\n").find(|block| block.starts_with("[confirm]")).unwrap();
    let (confirm, _) = confirm.split_once("```").unwrap();
    assert!(of_text(&format!("{OWN}{confirm}")).unwrap().confirm.is_some());
}

#[test]
fn a_user_s_preset_extends_a_built_in_one() {
    let preset = of_text(OWN).unwrap();
    assert_eq!(&*preset.name, "acme-pay");
    assert_eq!(preset.scheme, Scheme::Recipe(recipe_of("standard-webhooks").into()));
}

#[test]
fn what_a_preset_ignores_changes_nothing_and_may_be_mapped_in_part() {
    let when = "\n[[map]]\ntype = [\"payout.*\"]\nwhen = { \"/data/of\" = [\"sale\"] }\nfacts = [{ fact = \"note\" }]\nwhy = \"It only names the payment.\"";
    let ignored = "\n[[ignored]]\ntype = [\"payout.paid\", \"invoice.*\"]\nwhy = \"The rest is the bank's.\"";
    let (with, without) = (format!("{OWN}{when}{ignored}"), format!("{OWN}{when}"));
    let mapping = |text: &str| format!("{:?}", of_text(text).unwrap().mapping);
    assert_eq!(mapping(&with), mapping(&without));
}

const CONFIRM: &str = r#"
[confirm]
url = "https://api.acme.example/v1/payments/{payment}"
headers = { authorization = "Bearer {key}", acme-version = "2" }
spacing_ms = 100

[confirm.event]
type = ["/state"]
payment = ["/id"]
amounts = "minor"

[[confirm.map]]
type = ["*"]
facts = [{ fact = "phase", at = "/state", words = { paid = "captured" } }]
"#;

#[test]
fn a_preset_that_extends_another_is_asked_as_that_one_is_unless_it_says_otherwise() {
    let extends = |base: &str| OWN.replace("standard-webhooks", base);
    assert!(of_text(OWN).unwrap().confirm.is_none());
    let base = of_text(&extends("revolut")).unwrap().confirm.unwrap();
    let own = of_text(&format!("{}{CONFIRM}", extends("revolut"))).unwrap().confirm.unwrap();
    assert_ne!(base.address, own.address);
    assert_eq!(of_text(&format!("{OWN}{CONFIRM}")).unwrap().confirm.unwrap().address, own.address);
}

#[test]
fn a_mistake_in_how_a_provider_is_asked_is_told_with_its_key() {
    for (from, to, key, reason) in [
        ("https://", "http://", "confirm.url", "allowed: https://HOST/PATH in which `{payment}` stands once"),
        ("{payment}", "1", "confirm.url", "allowed: https://"),
        ("/v1/", "/{option:shop}/", "confirm.url", "there is no option `shop`"),
        ("url", "on = \"never\"\nurl", "line 14", "unknown variant `never`"),
        ("url", "body = \"form\"\nurl", "confirm.body", "json, xml"),
        ("Bearer {key}", "Bearer", "confirm.headers", "none of them holds `{key}`"),
        ("Bearer {key}", "Bearer {token}", "confirm.headers", "none of them holds `{key}`"),
        ("\"2\"", "\"{version}\"", "confirm.headers.acme-version", "`{key}` stands for the credential"),
        ("\"2\"", "\"{token}\"", "confirm.headers.acme-version", "`{key}` stands for the credential"),
        ("acme-version", "\"acme version\"", "confirm.headers.acme version", "not a header name"),
        ("100", "0", "confirm.spacing_ms", "1 to 60000"),
        ("type = [\"/state\"]", "", "confirm.event.type", "it is missing"),
        ("payment = [\"/id\"]", "", "confirm.event.payment", "it is missing"),
        ("payment = [\"/id\"]", "payment = [\"/card/number\"]", "confirm.event.payment[0]", "card data"),
        ("payment = [\"/id\"]", "payment = [\"header:x-id\"]", "confirm.event.payment[0]", "is not signed"),
        ("payment = [\"/id\"]", "payment = [\"/id\"]\nid = [\"/id\"]", "confirm.event.id", "has no id"),
        ("paid = \"captured\"", "paid = \"paid\"", "confirm.map[0].facts[0].words.paid", "unknown variant"),
        ("at = \"/state\"", "if = \"/state\", at = \"/state\"", "confirm.map[0].facts", "without `if`"),
        ("at = \"/state\"", "if = \"state\", at = \"/state\"", "confirm.map[0].facts", "without `if`"),
    ] {
        assert!(CONFIRM.contains(from), "{from}");
        let why = of_text(&format!("{OWN}{}", CONFIRM.replace(from, to))).expect_err(to);
        assert_eq!(why.key, key, "{why}");
        assert!(why.reason.contains(reason), "{why} should say: {reason}");
    }
    let token = "[confirm.token]\npath = \"/token\"\nheaders = { authorization = \"Basic {key:base64}\" }\n[confirm.event]";
    let with_token = CONFIRM.replace("[confirm.event]", token).replace("Bearer {key}", "Bearer {token}");
    assert!(of_text(&format!("{OWN}{with_token}")).unwrap().confirm.unwrap().token.is_some());
    for (from, to, key, reason) in [
        ("\"/token\"", "\"token\"", "confirm.token.path", "allowed: /PATH"),
        ("\"/token\"", "\"/{key}\"", "confirm.token.path", "allowed: /PATH"),
        ("{key:base64}", "", "confirm.token.headers", "none of them holds `{key}`"),
        ("Bearer {token}", "Bearer {key}", "confirm.headers", "none of them holds `{token}`"),
    ] {
        assert!(with_token.contains(from), "{from}");
        let why = of_text(&format!("{OWN}{}", with_token.replace(from, to))).expect_err(to);
        assert_eq!(why.key, key, "{why}");
        assert!(why.reason.contains(reason), "{why} should say: {reason}");
    }
    let on_demand = CONFIRM.replace("[confirm]", "[confirm]\non = \"demand\"");
    assert!(of_text(&format!("{OWN}{on_demand}")).unwrap().confirm.unwrap().on_demand);
    let hint = OWN.replacen("name", "trust = \"hint\"\nname", 1);
    assert_eq!(of_text(&format!("{hint}{on_demand}")).unwrap_err().key, "confirm.on");
    let (without_map, _) = CONFIRM.split_once("[[confirm.map]]").unwrap();
    assert_eq!(of_text(&format!("{OWN}{without_map}")).unwrap_err().key, "confirm.map");
}

#[test]
fn a_query_is_believed_with_a_token_in_it_and_not_without() {
    let token = "algorithm = \"token\"\nencoding = \"text\"\nkey = \"utf8\"";
    let preset = |carrier: &str, method: &str| {
        let own =
            OWN.replace("[event]", "[event]\nid = [\"/id\"]").replace("\"/data/id\"", "\"query:order\"");
        of_text(&format!("{own}\n[signature]\n{carrier}\n{method}"))
    };
    preset("query = \"token\"", token).unwrap();
    let hmac = "algorithm = \"hmac-sha256\"\nencoding = \"hex\"\nkey = \"utf8\"\nsigned = [\"{body}\"]";
    let also = "[[signature.also]]\nitems = [\"b={signature}\"]\nalgorithm = \"hmac-sha256\"\nencoding = \"hex\"\nkey = \"utf8\"\nprefix = \"b_\"";
    for (carrier, method) in [
        ("header = \"x-token\"", token.to_owned()),
        ("query = \"sig\"", hmac.to_owned()),
        ("query = \"token\"", format!("{token}\nsigned = [\"{{body}}\"]\n{also}")),
    ] {
        let why = preset(carrier, &method).unwrap_err();
        assert!(why.key == "event.payment[0]" && why.reason.contains("not signed"), "{why}");
    }
}

/// What is not found in a provider's manual is left unknown. A new preset belongs here only if nothing can be found.
#[test]
fn every_preset_states_how_its_provider_retries_or_that_it_is_unknown() {
    let unknown: Vec<_> = preset_table()
        .lines()
        .filter(|row| row.contains("| unknown |"))
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(
        unknown.join(" "),
        "authorize-net coinbase dlocal-go generic generic-timestamped gocardless nowpayments opennode revolut standard-webhooks wise \
         worldpay-wpg xendit"
    );
}

/// Only a provider that cannot be asked in the language of `[confirm]` belongs here, and its preset says why.
#[test]
fn every_provider_is_asked_or_its_preset_says_why_not() {
    let asked = |what: &str| {
        let is_so = |row: &&str| row.split(" | ").nth(6).is_some_and(|asked| asked.starts_with(what));
        let table = preset_table();
        let names: Vec<_> = table.lines().filter(is_so).map(|row| row.split('`').nth(1).unwrap()).collect();
        names.join(" ")
    };
    assert_eq!(
        asked("after each event"),
        "dlocal-go gocardless klarna-push mercado-pago mollie-classic opennode revolut"
    );
    assert_eq!(
        asked("by `reconcile`"),
        "braintree btcpay cashfree checkout coinbase-commerce flutterwave-v3 lemon-squeezy mollie nowpayments paddle paypal paystack razorpay shopify \
         square stripe wise"
    );
    assert_eq!(
        asked("never: "),
        "adyen adyen-platform authorize-net coinbase dlocal flutterwave klarna plaid worldpay worldpay-wpg xendit"
    );
    assert_eq!(asked("as your own"), "generic generic-timestamped standard-webhooks svix");
}

#[test]
fn a_schedule_ends_where_the_manual_says_or_with_its_last_pause() {
    let window = |name: &str| {
        let retries = built_in(name).unwrap().unwrap().retries;
        (retries.window().map(|window| window.as_secs() / 60), retries.blocks)
    };
    for (name, minutes, blocks) in [
        ("stripe", Some(3 * 24 * 60), false),
        ("adyen", Some(30 * 24 * 60), true),
        ("checkout", Some(30 * 60), false),
        ("lemon-squeezy", Some(2), false),
        ("razorpay", Some(24 * 60), false),
        ("square", Some(24 * 60), false),
        ("mercado-pago", None, false),
        ("generic", None, false),
    ] {
        assert_eq!(window(name), (minutes, blocks), "{name}");
    }
    let own = |more: &str| of_text(&format!("{}{more}", own_of("razorpay"))).unwrap().retries;
    assert_eq!(
        own("").disabled_after,
        Some(Duration::from_secs(86_400)),
        "a file takes over what it extends"
    );
    let changed = own("\n[retries]\npauses_s = [60]");
    assert_eq!((changed.window(), changed.disabled_after), (Some(Duration::from_secs(60)), None));
}

#[test]
fn a_mistake_in_a_preset_is_told_with_its_file_and_key() {
    let change = |from: &str, to: &str| OWN.replace(from, to);
    let fact = |fact: &str| {
        let (start, _) = OWN.split_once("facts").unwrap();
        format!("{start}facts = [{fact}]")
    };
    let header = "header = \"x-sig\"\nalgorithm = \"hmac-sha256\"\nencoding = \"hex\"\nkey = \"utf8\"";
    let signature =
        |signed: &str, more: &str| format!("{OWN}\n[signature]\n{header}\nsigned = {signed}\n{more}");
    let without_id = |from: &str, to: &str| {
        signature(r#"["{body}"]"#, "").replace("[event]", "[event]\nid = [\"/id\"]").replace(from, to)
    };
    let rsa = |certificates: &str, from: &str, to: &str| {
        without_id("\"hmac-sha256\"", "\"rsa-sha256\"")
            .replace("\"utf8\"", "\"certificate\"")
            .replace("[event]", &certificates.replacen(from, to, 1))
    };
    let ignored = |types: &str, why: &str| format!("{OWN}\n[[ignored]]\ntype = [{types}]\nwhy = \"{why}\"");
    for (text, key, reason) in [
        (change("standard-webhooks", "nobody"), "extends", "no preset `nobody`; allowed: "),
        (change("extends", "extend"), "line 3", "unknown field `extend`"),
        (change("name = \"acme-pay\"", "name = \"acme pay\""), "name", "printable ASCII"),
        (change("extends = \"standard-webhooks\"", ""), "signature", "it is missing"),
        (change("\"major\"", "\"cents\""), "line 7", "unknown variant `cents`"),
        (change("amounts = \"major\"", ""), "event.amounts", "minor, major"),
        (change("payment = [\"/data/id\"]", ""), "event.payment", "it is missing"),
        (change("\"/data/id\"", "\"data.id\""), "event.payment[0]", "not a JSON pointer"),
        (change("\"/data/id\"", "\"/data/card/number\""), "event.payment[0]", "card data"),
        (change("[event]", "[event]\nexponents = { US-D = 2 }"), "event.exponents.US-D", "codes of ISO 4217"),
        (change("[event]", "[event]\nexponents = { ISK = 19 }"), "event.exponents.ISK", "from 0 to 18"),
        (change("\"captured\"", "\"paid\""), "map[0].facts[0].is", "unknown variant `paid`"),
        (change("\"invoice.*\"", ""), "map[0].type", "at least one"),
        (fact(""), "map[0].facts", "1 to 8"),
        (
            fact(r#"{ fact = "refund", is = "succeeded", id = "/id" }"#),
            "map[0].facts[0].amount",
            "it is missing",
        ),
        (fact(r#"{ fact = "note", is = "created" }"#), "map[0].facts[0].is", "no such key"),
        (fact(r#"{ fact = "phase" }"#), "map[0].facts[0]", "either `is`, or both `at` and `words`"),
        (
            fact(r#"{ fact = "phase", at = "/x", words = { a = "b" } }"#),
            "map[0].facts[0].words.a",
            "unknown variant",
        ),
        (ignored("", "It is not."), "ignored[0].type", "at least one type"),
        (format!("{OWN}\n[retries]\n"), "retries", "it says nothing"),
        (format!("{OWN}\n[retries]\npauses_s = [1, 0]"), "retries.pauses_s[1]", "1 to 5184000 seconds"),
        (
            format!("{OWN}\n[retries]\npauses_s = [60, 60]\nlost_after_s = 119"),
            "retries.lost_after_s",
            "120 seconds",
        ),
        (format!("{OWN}\n[retries]\nlost_after_s = 0"), "retries.lost_after_s", "1 to 5184000"),
        (
            format!("{OWN}\n[retries]\ndisabled_after_s = 18446744073"),
            "retries.disabled_after_s",
            "1 to 5184000",
        ),
        (format!("{OWN}\n[retries]\ntimeout_s = 301"), "retries.timeout_s", "1 to 300 seconds"),
        (ignored("\"a.*\"", ""), "ignored[0].why", "a sentence"),
        (ignored("\"a.*\"", "."), "ignored[0].why", "a sentence"),
        (
            ignored("\"a.*\", \"invoice.paid\"", "It is not."),
            "ignored[0].type",
            "`invoice.paid` is mapped, not ignored",
        ),
        (format!("{OWN}\nwhy = \"It is paid.\""), "map[0].why", "all notes"),
        (format!("{}\nwhy = \"no\"", fact(r#"{ fact = "note" }"#)), "map[0].why", "a sentence"),
        (signature("[]", ""), "signature.signed", "except for tokens"),
        (signature(r#"["{header:x-time}"]"#, ""), "signature.signed", "`{body}` is missing"),
        (signature(r#"["{sig.t}", "{body}"]"#, ""), "signature.signed", "no item has `{t}`"),
        (signature(r#"["{bodi}"]"#, ""), "signature.signed[0]", "is not a piece"),
        (signature(r#"["{body"]"#, ""), "signature.signed[0]", "not closed"),
        (signature(r#"["{header:x y}{body}"]"#, ""), "signature.signed[0]", "is not a piece"),
        (signature(r#"["{option:url}{body}"]"#, ""), "signature.signed[0]", "no option `url`"),
        (
            signature(r#"["{body}"]"#, r#"time = { from = "header:x-time", form = "s", max_future_s = 1 }"#),
            "signature.time.from",
            "not among the signed pieces",
        ),
        (signature(r#"["{body}"]"#, ""), "event.id[0]", "`header:webhook-id` is not signed"),
        (without_id("/id", "/id!unsigned"), "event.id[0]", "`/id` is signed"),
        (without_id("\"/data/id\"", "\"header:x-id\""), "event.payment[0]", "is not signed"),
        (without_id("\"/data/id\"", "\"option:x\""), "event.payment[0]", "no option `x`"),
        (
            without_id("[event]", "[event]\nlive = { at = \"header:x-live\" }"),
            "event.live.at",
            "is not signed",
        ),
        (without_id("header =", "query = \"q\"\nheader ="), "signature.header", "either `header` or `query`"),
        (without_id("header = \"x-sig\"", "header = \"x sig\""), "signature.header", "not a header name"),
        (without_id("header =", "items = [\"{t}\"]\nheader ="), "signature.items", "hold `{signature}`"),
        (without_id("header =", "items = [\"v1\"]\nheader ="), "signature.items[0]", "or else one field"),
        (without_id("header =", "items = [\"{a}{b}\"]\nheader ="), "signature.items[0]", "some text"),
        (
            without_id("header =", "items = [\"{t}={signature}\"]\nheader ="),
            "signature.items[0]",
            "or else one field",
        ),
        (without_id("[event]", "[event]\nown_ids = [\"header:x-id\"]"), "event.own_ids[0]", "is not signed"),
        (without_id("[event]", CERTIFICATES), "signature.certificates", "it is allowed with"),
        (rsa(CERTIFICATES, "https", "http"), "signature.certificates.live.below", "https://HOST/FOLDER/"),
        (rsa(CERTIFICATES, "/certs/", "/certs"), "signature.certificates.live.below", "https://HOST/FOLDER/"),
        (
            rsa(CERTIFICATES, "a.example/certs/", "/"),
            "signature.certificates.live.below",
            "https://HOST/FOLDER/",
        ),
        (rsa(CERTIFICATES, "http:", "ftp:"), "signature.certificates.issuers", "http://HOST/"),
        (rsa(CERTIFICATES, "x-cert", "x cert"), "signature.certificates.header", "not a header name"),
        (without_id("\"hex\"", "\"text\""), "signature.algorithm", "token goes with text"),
        (without_id("\"utf8\"", "\"pem\""), "signature.algorithm", "token goes with text"),
        (
            without_id("[event]", "[options.a]\nmeans = \"\"\ndefault = \"x\"\nallowed = [\"y\"]\n[event]"),
            "options.a.default",
            "allowed: y",
        ),
    ] {
        let why = of_text(&text).expect_err(&text);
        assert_eq!((why.file.as_str(), why.key.as_str()), ("acme.toml", key), "{why}");
        assert!(why.reason.contains(reason), "{why} should say: {reason}");
    }
}
