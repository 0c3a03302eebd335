//! Attacks on the sessions of the operators' console: other pages that have a browser send its cookie along, cookies that were guessed,
//! kept or planted, and operators who are none any more.

use crate::{
    support::{
        ADMIN_TOKEN, Gateway, PATIENCE, Setup, eventually, generic, header, message, next_message, now_s,
    },
    tls::{NAME, Secure},
};
use load::{
    http::{Response, request},
    stream::Stream,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const ANN: &str = "token-of-ann-4f1c9b7d2e8a";
const BOB: &str = "token-of-bob-93e07a5cd614";

fn operator(name: &str, role: &str, token: &str) -> String {
    format!("[[admin.operator]]\nname = \"{name}\"\nrole = \"{role}\"\ntoken = \"env:{token}\"\n")
}

fn setup(admin: &str) -> Setup {
    Setup { admin: admin.to_owned(), ..Setup::default() }
}

/// Ann may change things, and Bob may look.
async fn start() -> Gateway {
    let admin = operator("ann", "write", "ANN") + &operator("bob", "read", "BOB");
    let env: [(&str, &Path); 3] =
        [("ANN", ANN.as_ref()), ("BOB", BOB.as_ref()), ("NEW", "token-of-ann-now-71aa0c".as_ref())];
    Gateway::with_env(setup(&admin), &env).await
}

async fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(String, String)]) -> Response {
    request(gateway.admin, method, path, headers, b"").await.unwrap()
}

fn bearer(token: &str) -> Vec<(String, String)> {
    vec![header("authorization", &format!("Bearer {token}"))]
}

/// The pair of the cookie that signing in sets.
async fn sign_in(gateway: &Gateway, token: &str) -> String {
    let answer = ask(gateway, "POST", "/admin/session", &bearer(token)).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    let cookie = answer.head.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// The headers of the console's own page.
fn own(cookie: &str) -> Vec<(String, String)> {
    vec![header("cookie", cookie), header("x-paystream-console", "1")]
}

fn reason(answer: &Response) -> Value {
    answer.json()["reason"].clone()
}

async fn erase(gateway: &Gateway, payment: &str, headers: &[(String, String)]) -> Response {
    ask(gateway, "DELETE", &format!("/admin/payments/{payment}?realm=default"), headers).await
}

#[tokio::test]
async fn another_page_of_this_host_changes_nothing_with_the_cookie_of_the_console() {
    let gateway = start().await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let cookie = sign_in(&gateway, ANN).await;
    let with = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let pairs = pairs.iter().map(|(name, value)| header(name, value));
        [header("cookie", &cookie)].into_iter().chain(pairs).collect()
    };
    let elsewhere = format!("http://127.0.0.1:{}", gateway.public.port());
    let forged: [Vec<(String, String)>; 7] = [
        with(&[]),
        with(&[("origin", &elsewhere)]),
        with(&[("origin", "null"), ("x-paystream-console", "1")]),
        with(&[("origin", &elsewhere), ("x-paystream-console", "1")]),
        with(&[("sec-fetch-site", "same-site"), ("x-paystream-console", "1")]),
        with(&[("sec-fetch-site", "cross-site"), ("x-paystream-console", "1")]),
        with(&[("sec-fetch-site", "same-origin")]),
    ];
    for headers in &forged {
        for (method, path) in [
            ("DELETE", "/admin/payments/pay_1?realm=default"),
            ("POST", "/admin/quarantine/replay?source=acme"),
            ("DELETE", "/admin/streams?realm=default"),
            ("DELETE", "/admin/session"),
            ("GET", "/admin/store/backup"),
        ] {
            let answer = ask(&gateway, method, path, headers).await;
            assert_eq!(
                (answer.head.status, reason(&answer)),
                (403, json!("cross_site")),
                "{path} {headers:?}"
            );
        }
    }
    // What only reads is refused too, where the browser says that another page asks.
    for headers in &forged[1..6] {
        let answer = ask(&gateway, "GET", "/admin/sources", headers).await;
        assert_eq!((answer.head.status, reason(&answer)), (403, json!("cross_site")), "{headers:?}");
    }
    let trail = ask(&gateway, "GET", "/admin/audit", &bearer(ANN)).await.json();
    assert_eq!(trail["entries"], json!([]), "nothing was changed");
    let counted = gateway.metric("paystream_admin_refusals_total", &["reason=\"cross_site\""]).await;
    assert!((counted - 40.0).abs() < 0.1, "{counted}");
    // The page itself does it, by each of the ways that browsers have to say so.
    let origin = format!("http://{}", gateway.admin);
    let address = gateway.admin.to_string();
    for more in [
        vec![],
        vec![header("host", &address), header("origin", &origin)],
        vec![header("sec-fetch-site", "same-origin")],
    ] {
        let headers = [own(&cookie), more].concat();
        assert_eq!(erase(&gateway, "pay_1", &headers).await.head.status, 200, "{headers:?}");
    }
    let trail = ask(&gateway, "GET", "/admin/audit", &bearer(ANN)).await.json();
    assert_eq!(trail["entries"][0]["operator"], "ann", "{trail}");
}

/// A form can be sent without asking, and no page can read what another origin answers.
#[tokio::test]
async fn nobody_is_signed_in_by_another_page_and_no_other_origin_may_read() {
    let gateway = start().await;
    let evil = header("origin", "https://evil.example");
    let form = header("content-type", "application/x-www-form-urlencoded");
    for headers in [vec![evil.clone(), form], vec![evil.clone()]] {
        let answer = ask(&gateway, "POST", "/admin/session", &headers).await;
        assert_eq!((answer.head.status, answer.head.header("set-cookie")), (401, None));
    }
    let wanted = header("access-control-request-headers", "authorization,x-paystream-console");
    let preflight = [evil.clone(), wanted, header("access-control-request-method", "POST")];
    let answers = [
        ask(&gateway, "OPTIONS", "/admin/session", &preflight).await,
        ask(&gateway, "GET", "/admin/session", &[bearer(ANN), vec![evil]].concat()).await,
    ];
    for answer in answers {
        assert_eq!(answer.head.header("access-control-allow-origin"), None, "{:?}", answer.head);
    }
    // The page cannot be put into a frame of another one, whose visitors would press its buttons.
    let page = ask(&gateway, "GET", "/console", &[]).await;
    assert_eq!(page.head.status, 200);
    let policy = page.head.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'self'"), "{policy}");
    let foreign = ask(&gateway, "GET", "/console", &[header("host", "evil.example")]).await;
    assert_eq!(foreign.head.status, 421, "a name that points here");
}

#[tokio::test]
async fn a_session_opens_nothing_once_its_token_is_removed_and_only_reads_once_that_only_reads() {
    let gateway = start().await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let ann = sign_in(&gateway, ANN).await;
    let shown = ask(&gateway, "GET", "/admin/session", &own(&ann)).await.json();
    assert_eq!((&shown["operator"], &shown["role"]), (&json!("ann"), &json!("write")));
    let bob = sign_in(&gateway, BOB).await;
    let refused = erase(&gateway, "pay_1", &own(&bob)).await;
    assert_eq!((refused.head.status, reason(&refused)), (403, json!("read_only_token")));

    gateway.configure(&setup(&operator("ann", "read", "ANN")));
    gateway.hang_up();
    let is_out = async || ask(&gateway, "GET", "/admin/sources", &own(&bob)).await.head.status == 401;
    eventually("the reload has removed Bob", is_out).await;
    let answer = ask(&gateway, "GET", "/admin/sources", &own(&bob)).await;
    assert_eq!(reason(&answer), "session_over");
    let refused = erase(&gateway, "pay_1", &own(&ann)).await;
    assert_eq!((refused.head.status, reason(&refused)), (403, json!("read_only_token")));
    assert_eq!(ask(&gateway, "GET", "/admin/sources", &own(&ann)).await.head.status, 200);

    // The same name with another token is another operator, and who was removed does not come back.
    gateway.configure(&setup(&(operator("ann", "write", "NEW") + &operator("bob", "read", "BOB"))));
    gateway.hang_up();
    let is_out = async || ask(&gateway, "GET", "/admin/sources", &own(&ann)).await.head.status == 401;
    eventually("the reload has given Ann another token", is_out).await;
    assert_eq!(ask(&gateway, "GET", "/admin/sources", &own(&bob)).await.head.status, 401);
}

#[tokio::test]
async fn after_signing_out_the_cookie_opens_nothing_and_what_was_followed_ends() {
    let gateway = start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let cookie = sign_in(&gateway, BOB).await;
    let follow = [own(&cookie), vec![header("accept", "text/event-stream")]].concat();
    let mut deliveries = Stream::open(gateway.admin, "/admin/deliveries", &follow).await.unwrap();
    assert_eq!(next_message(&mut deliveries).await.1["event"], "e1");
    let path = "/admin/realms/default/v1/events?payment=pay_1";
    let mut payment = Stream::open(gateway.admin, path, &follow).await.unwrap();
    assert_eq!(payment.head.status, 200, "{:?}", payment.head);
    assert_eq!(next_message(&mut payment).await.1["status"], "processing");

    let signed_out = ask(&gateway, "DELETE", "/admin/session", &own(&cookie)).await;
    assert_eq!(signed_out.head.status, 204);
    assert!(signed_out.head.header("set-cookie").unwrap().contains("Max-Age=0"));
    let event = deliveries.event(PATIENCE).await.unwrap();
    assert_eq!((event.kind.as_str(), &message(&event)["reason"]), ("closing", &json!("token_removed")));
    assert_eq!(next_message(&mut payment).await.1["type"], "closing");
    for (method, path) in [("GET", "/admin/sources"), ("GET", path), ("DELETE", "/admin/session")] {
        let answer = ask(&gateway, method, path, &own(&cookie)).await;
        assert_eq!((answer.head.status, reason(&answer)), (401, json!("session_over")), "{path}");
    }
}

#[tokio::test]
async fn no_cookie_but_that_of_a_session_opens_anything() {
    let gateway = start().await;
    let real = sign_in(&gateway, ANN).await;
    let (name, value) = real.split_once('=').unwrap();
    let cut = &value[..value.len() - 1];
    let long = "A".repeat(4000);
    for wrong in ["", ADMIN_TOKEN, ANN, cut, "%00", "\"\"", &long] {
        for name in [name, &format!("__Host-{name}")] {
            let headers = own(&format!("{name}={wrong}"));
            let answer = ask(&gateway, "GET", "/admin/sources", &headers).await;
            assert_eq!((answer.head.status, reason(&answer)), (401, json!("session_over")), "{name}={wrong}");
        }
    }
    // A header that is there counts, so that no session stands in for a token that is wrong.
    let wrong = [own(&real), bearer("not-the-token-0123456789")].concat();
    assert_eq!(reason(&ask(&gateway, "GET", "/admin/sources", &wrong).await), "bad_admin_token");
    // A session does not prolong itself, nor does it go where tokens of the shop are asked for.
    let again = ask(&gateway, "POST", "/admin/session", &own(&real)).await;
    assert_eq!((again.head.status, again.head.header("set-cookie")), (400, None));
    let public = gateway.get("/v1/payments/pay_1", &own(&real)).await;
    assert_eq!(public.head.status, 401);
}

#[tokio::test]
async fn an_operator_has_only_so_many_sessions_and_guesses_at_its_token_wait() {
    let gateway = start().await;
    let oldest = sign_in(&gateway, ANN).await;
    for _ in 0..16 {
        sign_in(&gateway, ANN).await;
    }
    assert_eq!(ask(&gateway, "GET", "/admin/sources", &own(&oldest)).await.head.status, 401);
    let hits = gateway.metric("paystream_limit_hits_total", &["console_sessions"]).await;
    assert!((hits - 1.0).abs() < 0.1, "{hits}");

    let begun = Instant::now();
    for guess in 0..4 {
        let wrong = bearer(&format!("wrong-guess-{guess}-0123456789"));
        let answer = ask(&gateway, "POST", "/admin/session", &wrong).await;
        assert_eq!((answer.head.status, answer.head.header("set-cookie")), (401, None));
    }
    assert!(begun.elapsed() > Duration::from_millis(100 + 200 + 400 + 800), "{:?}", begun.elapsed());
    let log = gateway.log();
    assert!(log.contains("an operator signed in to the console"), "{log}");
    let value = oldest.split_once('=').unwrap().1;
    assert!(!log.contains(value) && !log.contains(ANN) && !log.contains("wrong-guess"), "{log}");
}

/// A cookie that was set over TLS never travels without it.
#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_and_this_host_alone() {
    let secure = Secure::with("", Setup::default()).await;
    let plain = ask(&secure.gateway, "POST", "/admin/session", &bearer(ADMIN_TOKEN)).await;
    let cookie = plain.head.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with(&format!("paystream_console_{}=", secure.gateway.admin.port()))
            && !cookie.contains("Secure"),
        "{cookie}"
    );
    // Behind a proxy that speaks TLS, the browser says so.
    let headers = [bearer(ADMIN_TOKEN), vec![header("origin", &format!("https://{NAME}"))]].concat();
    let proxied = ask(&secure.gateway, "POST", "/admin/session", &headers).await;
    let cookie = proxied.head.header("set-cookie").unwrap();
    let has_all = ["__Host-paystream_console_", "; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Strict"];
    assert!(has_all.iter().all(|part| cookie.contains(part)) && !cookie.contains("Domain"), "{cookie}");
    // The listener's own TLS says so by itself.
    let strict = Secure::for_operators().await;
    let client = strict.http().build().unwrap();
    let url = |path: &str| format!("https://{NAME}:{}{path}", strict.gateway.admin.port());
    eventually("it listens", async || client.get(url("/livez")).send().await.is_ok()).await;
    let asked = client.post(url("/admin/session")).header("authorization", format!("Bearer {ADMIN_TOKEN}"));
    let answer = asked.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(has_all.iter().all(|part| cookie.contains(part)), "{cookie}");
}
