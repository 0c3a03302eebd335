//! Examines what the page of another origin is allowed to read.

use super::{
    endpoint::{Endpoint, ask, header_of, printable},
    finding::{Diagnosis, Finding, Flaw},
};
use crate::loopback::is_loopback;
use reqwest::{
    StatusCode, Url,
    header::{
        self, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderMap, HeaderValue,
    },
};

/// The headers that a page has to be allowed to send.
const NEEDED: [&str; 2] = ["authorization", "last-event-id"];

/// Asks as a browser does before the page's own request.
pub(super) async fn examine(endpoint: &Endpoint, diagnosis: &mut Diagnosis) {
    let Some(origin) = &endpoint.origin else {
        diagnosis.not_asked.push("whether a page may read the answers: give its --origin".to_owned());
        return;
    };
    match ask(endpoint.preflight()).await {
        Ok(answer) => {
            diagnosis.note(preflight(answer.status, &answer.headers, origin), "CORS: the preflight");
        }
        Err(why) => {
            let says =
                format!("The preflight (OPTIONS) of a page of {} brings no answer: {why}.", said(origin));
            diagnosis.note(vec![Finding::new(Flaw::CorsPreflight, says)], "");
        }
    }
}

/// Judges the answer to a preflight.
fn preflight(status: StatusCode, headers: &HeaderMap, origin: &HeaderValue) -> Vec<Finding> {
    if !status.is_success() {
        let says = format!(
            "The preflight (OPTIONS) of a page of {} is answered {status}, so the browser does not send its request.",
            said(origin)
        );
        return vec![Finding::new(Flaw::CorsPreflight, says)];
    }
    let allowed = header_of(headers, &ACCESS_CONTROL_ALLOW_HEADERS).unwrap_or_default().to_ascii_lowercase();
    let allowed: Vec<&str> = allowed.split(',').map(str::trim).collect();
    let mut findings = answer(headers, origin);
    findings.iter_mut().filter(|finding| finding.flaw == Flaw::CorsAnswer).for_each(|finding| {
        finding.flaw = Flaw::CorsPreflight;
    });
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !allowed.contains(name)).collect();
    if findings.is_empty() && !missing.is_empty() {
        let says = format!(
            "The answer to a preflight does not allow the header {} (Access-Control-Allow-Headers), as the gateway's does.",
            missing.join(" and ")
        );
        findings.push(Finding::new(Flaw::CorsPreflight, says));
    }
    findings
}

/// Judges the headers of an answer that the page of `origin` wants to read.
pub(super) fn answer(headers: &HeaderMap, origin: &HeaderValue) -> Vec<Finding> {
    let allowed = header_of(headers, &ACCESS_CONTROL_ALLOW_ORIGIN);
    let varies = header_of(headers, &header::VARY).unwrap_or_default().to_ascii_lowercase();
    let origin = said(origin);
    match allowed {
        Some(allowed) if allowed == origin => {
            // In development, a page of this machine is answered without them.
            let is_local = origin.parse().is_ok_and(|url: Url| url.host_str().is_some_and(is_loopback));
            if is_local || header_of(headers, &ACCESS_CONTROL_ALLOW_CREDENTIALS).as_deref() == Some("true") {
                return Vec::new();
            }
            let says = format!(
                "A page of {origin} may read the answers, but not send a cookie: Access-Control-Allow-Credentials is missing."
            );
            vec![Finding::new(Flaw::CorsAnswer, says)]
        }
        Some(allowed) if allowed.contains(',') => {
            let says = format!(
                "Access-Control-Allow-Origin has several values ({}), which browsers refuse: the proxy adds one to the gateway's.",
                printable(&allowed)
            );
            vec![Finding::new(Flaw::CorsTwice, says)]
        }
        Some(allowed) => {
            let says = format!(
                "Access-Control-Allow-Origin is {} for a page of {origin}. The gateway never says so, hence the proxy does.",
                printable(&allowed)
            );
            vec![Finding::new(Flaw::CorsAnswer, says)]
        }
        None if varies.contains("origin") => {
            let says = format!(
                "A page of {origin} may not read the answers: the gateway does not list this origin, or the proxy removes \
                 Access-Control-Allow-Origin."
            );
            vec![Finding::new(Flaw::CorsAnswer, says)]
        }
        None => {
            let says = format!(
                "A page of {origin} may not read the answers. Even \"Vary: Origin\" is missing, which the gateway always \
                 sends, so the proxy answers by itself or removes headers."
            );
            vec![Finding::new(Flaw::CorsAnswer, says)]
        }
    }
}

fn said(origin: &HeaderValue) -> &str {
    origin.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderName;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn each_way_to_break_cors_is_told_from_the_others() {
        let shop = HeaderValue::from_static("https://shop.example");
        let (origin, credentials) = ("access-control-allow-origin", "access-control-allow-credentials");
        let good = [(origin, "https://shop.example"), (credentials, "true"), ("vary", "Origin")];
        for (pairs, expected) in [
            (&good[..], None),
            (&[good[0], good[2]], Some(Flaw::CorsAnswer)),
            (&[good[0], good[0], good[1]], Some(Flaw::CorsTwice)),
            (&[(origin, "*"), good[0], good[1]], Some(Flaw::CorsTwice)),
            (&[(origin, "*"), good[1]], Some(Flaw::CorsAnswer)),
            (&[("vary", "Accept-Encoding, Origin")], Some(Flaw::CorsAnswer)),
            (&[], Some(Flaw::CorsAnswer)),
        ] {
            let found: Vec<_> = answer(&headers(pairs), &shop).iter().map(|finding| finding.flaw).collect();
            assert_eq!(found, Vec::from_iter(expected), "{pairs:?}");
        }
        let allows = ("access-control-allow-headers", "Authorization, Last-Event-ID");
        let allowed = headers(&[good[0], good[1], good[2], allows]);
        assert!(preflight(StatusCode::NO_CONTENT, &allowed, &shop).is_empty());
        for (status, headers) in [
            (StatusCode::METHOD_NOT_ALLOWED, allowed),
            (StatusCode::NO_CONTENT, headers(&good)),
            (StatusCode::OK, headers(&[])),
        ] {
            let found = preflight(status, &headers, &shop);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].flaw, Flaw::CorsPreflight);
        }
    }
}
