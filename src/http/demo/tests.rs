use super::{super::pages::POLICY, *};
use axum::{body::Body, http::Request};
use std::sync::Mutex;
use tower::ServiceExt as _;

/// Keeps the calls that it got.
#[derive(Default)]
struct Stub(Mutex<Vec<String>>);

impl Stub {
    fn note(&self, what: String) -> Result<Order, DemoError> {
        self.0.lock().unwrap().push(what);
        Ok(Order {
            payment: "pi_1".parse().unwrap(),
            token: "t".to_owned(),
            number: "FK-1".to_owned(),
            amount: 4200,
            currency: "EUR".parse().unwrap(),
        })
    }
}

impl DemoShop for Stub {
    fn begin(&self, life: &str) -> Result<Order, DemoError> {
        if life == "happy" { self.note(format!("begin {life}")) } else { Err(DemoError::UnknownLife) }
    }
    fn go_on(&self, payment: &Name, life: &str) -> Result<Order, DemoError> {
        self.note(format!("go on {payment} {life}"))
    }
    fn order(&self, payment: &Name) -> Result<Order, DemoError> {
        if payment.as_str() == "pi_1" {
            self.note(format!("order {payment}"))
        } else {
            Err(DemoError::UnknownPayment)
        }
    }
    fn all_payments(&self) -> Result<String, DemoError> {
        self.note("all payments".to_owned()).map(|order| order.token)
    }
    fn restart(&self) {
        self.note("restart".to_owned()).unwrap();
    }
}

#[tokio::test]
async fn buttons_reach_the_shop_or_are_refused_with_a_reason() {
    let shop = Arc::new(Stub::default());
    let json = "application/json";
    for (path, content_type, body, status, asked) in [
        ("/demo/payments", json, r#"{"life":"happy"}"#, 201, Some("begin happy")),
        ("/demo/payments", json, r#"{"life":"of brian"}"#, 400, None),
        ("/demo/payments", json, "{", 400, None),
        ("/demo/payments", "text/plain", r#"{"life":"happy"}"#, 415, None),
        ("/demo/payments/pi_1/lives", json, r#"{"life":"refund"}"#, 202, Some("go on pi_1 refund")),
        ("/demo/payments/a%20b/lives", json, r#"{"life":"refund"}"#, 404, None),
        ("/demo/token", json, r#"{"payment":"pi_1"}"#, 200, Some("order pi_1")),
        ("/demo/token", json, r#"{"payment":"pi_2"}"#, 404, None),
        ("/demo/dashboard-token", json, "{}", 200, Some("all payments")),
        ("/demo/dashboard-token", "text/plain", "{}", 415, None),
        ("/demo/restart", json, "{}", 202, Some("restart")),
        ("/demo/restart", "text/plain", "{}", 415, None),
    ] {
        let request =
            Request::post(path).header("content-type", content_type).body(Body::from(body)).unwrap();
        let answer = routes(Arc::clone(&shop) as _).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path} {body}");
        assert_eq!(shop.0.lock().unwrap().pop().as_deref(), asked, "{path} {body}");
    }
}

#[tokio::test]
async fn pages_are_known_by_their_tag_and_load_nothing_from_elsewhere() {
    for page in &PAGES {
        let ask = |tag: &str| {
            let request = Request::get(page.path).header("if-none-match", tag).body(Body::empty()).unwrap();
            routes(Arc::new(Stub::default())).oneshot(request)
        };
        let answer = ask("").await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], page.content_type);
        assert_eq!(answer.headers()["content-security-policy"], POLICY);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let again = ask(answer.headers()["etag"].to_str().unwrap()).await.unwrap();
        assert_eq!(again.status(), 304, "{}", page.path);
    }
}
