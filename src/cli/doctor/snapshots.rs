//! Examines answers that are no streams: tokens on both ways, caches, entity tags, long heads.

use super::{
    endpoint::{Endpoint, HttpAnswer, TokenCarrier, ask, header_of, printable},
    finding::{Diagnosis, Finding, Flaw, Halt},
};
use reqwest::{
    StatusCode, Version,
    header::{self, HeaderMap, HeaderName},
};
use std::time::Duration;

/// How long a token for 64 payments can be, in bytes.
const LONG: usize = 11 << 10;

/// The gateway answers, and this is what the rest of the examination needs to know of it.
pub(super) struct Reached {
    /// A place where a token arrives.
    pub(super) carrier: TokenCarrier,
    /// How long the gateway takes for an answer.
    pub(super) took: Duration,
    pub(super) version: Version,
}

/// Asks for the payment as JSON in all the ways in which something can go wrong.
pub(super) async fn examine(endpoint: &Endpoint, diagnosis: &mut Diagnosis) -> Result<Reached, Halt> {
    let Admitted { answer, again, carrier } = admitted(endpoint, diagnosis).await?;
    diagnosis.note(transport(&answer, endpoint.is_tls()), "the version of HTTP");
    // A cache gives itself away when it is asked for the same again.
    let cached = std::iter::once(&answer).chain(&again).map(caching).find(|findings| !findings.is_empty());
    diagnosis.note(cached.unwrap_or_default(), "no cache stands between");
    if endpoint.token.is_some() {
        let without = ask(endpoint.snapshot(TokenCarrier::Nowhere, &[])).await.map_err(Halt::Unreached)?;
        diagnosis.note(anonymous(&without), "nothing is shown without a token");
    }
    diagnosis.note(revalidated(endpoint, carrier, &answer).await, "entity tags arrive, there and back");
    let long = "x".repeat(LONG);
    let by_header = ask(endpoint.snapshot(carrier, &[]).header("x-paystream-doctor", &long)).await;
    let by_query = ask(endpoint.snapshot(carrier, &[("doctor", &long)])).await;
    for (answer, flaw, what) in [
        (by_header, Flaw::LongHeader, "a long header arrives"),
        (by_query, Flaw::LongUrl, "a long URL arrives"),
    ] {
        if let Ok(answer) = &answer {
            diagnosis.meet(answer.middleboxes());
        }
        diagnosis.note(long_head(&answer, flaw), what);
    }
    Ok(Reached { carrier, took: answer.took, version: answer.version })
}

/// The gateway's answer to a client that it admits.
struct Admitted {
    answer: HttpAnswer,
    /// The answer to the same token in the other place, if it was asked for.
    again: Option<HttpAnswer>,
    /// The place in which the token arrives.
    carrier: TokenCarrier,
}

/// Finds a place in which the token arrives, and notes those in which it does not.
async fn admitted(endpoint: &Endpoint, diagnosis: &mut Diagnosis) -> Result<Admitted, Halt> {
    let usual = endpoint.usual_carrier();
    let answer = ask(endpoint.snapshot(usual, &[])).await.map_err(Halt::Unreached)?;
    diagnosis.meet(answer.middleboxes());
    if answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED {
        diagnosis.note(vec![redirect(&answer)], "");
        return Err(Halt::Found);
    }
    if usual == TokenCarrier::Nowhere {
        return match answer.status {
            _ if answer.is_snapshot() => Ok(Admitted { answer, again: None, carrier: usual }),
            StatusCode::UNAUTHORIZED if answer.reason().is_some() => {
                let remedy = "give a token with --token or PAYSTREAM_TOKEN, or sign one with --config";
                Err(Halt::Unreached(format!("the gateway wants a token; {remedy}")))
            }
            _ => Err(refused(&answer, diagnosis)),
        };
    }
    let by_query = ask(endpoint.snapshot(TokenCarrier::Query, &[])).await.map_err(Halt::Unreached)?;
    let lost = |answer: &HttpAnswer, place: &str| {
        format!(
            "A token in {place} does not arrive: {}, and the same token is accepted in the other place.",
            answer.described()
        )
    };
    match (answer.is_snapshot(), by_query.is_snapshot()) {
        (true, true) => {
            diagnosis.fine.push("tokens arrive, in Authorization and in the query");
            Ok(Admitted { answer, again: Some(by_query), carrier: usual })
        }
        (true, false) => {
            let says = lost(&by_query, "the query");
            diagnosis.note(vec![Finding::new(Flaw::QueryToken, says)], "");
            Ok(Admitted { answer, again: None, carrier: usual })
        }
        (false, true) => {
            let says = lost(&answer, "Authorization");
            diagnosis.note(vec![Finding::new(Flaw::Authorization, says)], "");
            Ok(Admitted { answer: by_query, again: None, carrier: TokenCarrier::Query })
        }
        (false, false) => Err(refused(&answer, diagnosis)),
    }
}

/// Why nothing more can be tried after this answer.
fn refused(answer: &HttpAnswer, diagnosis: &mut Diagnosis) -> Halt {
    let challenge = header_of(&answer.headers, &header::WWW_AUTHENTICATE).unwrap_or_default();
    if answer.status == StatusCode::UNAUTHORIZED && answer.reason().is_none() {
        let says = format!(
            "The proxy answers 401 by itself (WWW-Authenticate: {}), before the gateway sees the token.",
            printable(&challenge)
        );
        diagnosis.note(vec![Finding::new(Flaw::Login, says)], "");
        return Halt::Found;
    }
    let remedy = match answer.status {
        StatusCode::UNAUTHORIZED => "; `paystream token` signs a valid one",
        StatusCode::FORBIDDEN => "; use a token that names this payment",
        StatusCode::OK => ", which is no payment; check the URL",
        _ => "",
    };
    Halt::Unreached(format!("{}{remedy}", answer.described()))
}

fn redirect(answer: &HttpAnswer) -> Finding {
    // The query may repeat the token.
    let to = header_of(&answer.headers, &header::LOCATION).unwrap_or_default();
    let to = printable(to.split('?').next().unwrap_or_default());
    Finding::new(
        Flaw::Redirect,
        format!(
            "The URL answers {} and leads to {to}. Nothing else was tried; give the URL that it leads to.",
            answer.status
        ),
    )
}

/// Whether the version and the connection are what browsers get on best with.
fn transport(answer: &HttpAnswer, is_tls: bool) -> Vec<Finding> {
    let closes = header_of(&answer.headers, &header::CONNECTION)
        .is_some_and(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")));
    let mut findings = Vec::new();
    match answer.version {
        Version::HTTP_09 | Version::HTTP_10 => {
            findings.push(Finding::new(Flaw::Http10, "The answers are HTTP/1.0, whose streams end unnoticed."));
        }
        Version::HTTP_11 if is_tls => findings.push(Finding::new(
            Flaw::NoHttp2,
            "HTTP/2 is not offered, so all tabs of a browser share six connections, and each open stream takes one of them.",
        )),
        _ => {}
    }
    if answer.version == Version::HTTP_11 && closes {
        findings.push(Finding::new(
            Flaw::NoKeepalive,
            "The connection is closed after an answer that is no stream, so each request needs a new one.",
        ));
    }
    findings
}

/// Whether a cache has answered, or may.
fn caching(answer: &HttpAnswer) -> Vec<Finding> {
    let mut says: Vec<String> = cache_hit(&answer.headers).into_iter().collect();
    let control = header_of(&answer.headers, &header::CACHE_CONTROL).unwrap_or_default();
    if control != "private, no-cache" {
        says.push(format!(
            "The gateway sends \"Cache-Control: private, no-cache\" with a payment, and {:?} arrives.",
            printable(&control)
        ));
    }
    if says.is_empty() { Vec::new() } else { vec![Finding::new(Flaw::Cache, says.join(" "))] }
}

/// What says that an answer comes from a cache.
pub(super) fn cache_hit(headers: &HeaderMap) -> Option<String> {
    let marks = ["x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache"];
    let hit = marks.into_iter().map(HeaderName::from_static).find_map(|name| {
        let value = header_of(headers, &name)?;
        value.to_ascii_lowercase().contains("hit").then(|| format!("{name}: {}", printable(&value)))
    });
    let age = header_of(headers, &header::AGE).map(|age| format!("age: {}", printable(&age)));
    hit.or(age).map(|mark| format!("An answer comes from a cache ({mark})."))
}

fn anonymous(answer: &HttpAnswer) -> Vec<Finding> {
    if !answer.is_snapshot() {
        return Vec::new();
    }
    let says = "The payment is shown without a token: from a cache, or by a token that the proxy adds. (A gateway that runs \
                with --dev needs none, but should not be reached by others.)";
    vec![Finding::new(Flaw::Anonymous, says)]
}

/// Asks again with the answer's own tag, as a long poll does.
async fn revalidated(endpoint: &Endpoint, carrier: TokenCarrier, answer: &HttpAnswer) -> Vec<Finding> {
    let Some(tag) = answer.headers.get(header::ETAG) else {
        return vec![Finding::new(Flaw::Etag, "An answer has lost its ETag on the way.")];
    };
    match ask(endpoint.snapshot(carrier, &[]).header(header::IF_NONE_MATCH, tag)).await {
        // The payment may have changed since.
        Ok(again) if again.status == StatusCode::NOT_MODIFIED => Vec::new(),
        Ok(again) if again.is_snapshot() && again.headers.get(header::ETAG) != Some(tag) => Vec::new(),
        Ok(again) => vec![Finding::new(
            Flaw::Etag,
            format!(
                "If-None-Match with the ETag that came brings {} and not 304, so it is lost or changed.",
                again.status
            ),
        )],
        Err(why) => {
            vec![Finding::new(Flaw::Etag, format!("A request with If-None-Match brings no answer: {why}."))]
        }
    }
}

fn long_head(answer: &Result<HttpAnswer, String>, flaw: Flaw) -> Vec<Finding> {
    let what = if flaw == Flaw::LongHeader { "header" } else { "URL" };
    let why = match answer {
        Ok(answer) if answer.is_snapshot() => return Vec::new(),
        Ok(answer) => answer.described(),
        Err(why) => why.clone(),
    };
    let says = format!(
        "A {what} of {} KiB, as long as a token for 64 payments, does not get through: {why}.",
        LONG >> 10
    );
    vec![Finding::new(flaw, says)]
}
