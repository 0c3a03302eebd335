//! `watch` against a scripted gateway that gives one answer per connection and then closes it.

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// A gateway that gives these answers, one per connection. Its task returns the requests that it received.
async fn gateway(answers: Vec<String>) -> (Url, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            requests.push(String::from_utf8(request).unwrap().to_ascii_lowercase());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, requests)
}

/// The answer of a stream that ends without its last chunk.
fn stream(events: &str) -> String {
    let length = events.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{events}\r\n"
    )
}

fn watch(url: Url) -> WatchArgs {
    WatchArgs {
        url,
        payment: "a/b".parse().unwrap(),
        token: Some("t".into()),
        until_finished: true,
        json: false,
    }
}

#[tokio::test]
async fn a_cut_stream_is_taken_up_where_it_was() {
    let (url, requests) = gateway(vec![
        stream("retry: 1\nid: k-1\ndata: {\"type\":\"snapshot\"}\n\n"),
        stream("id: k-2\ndata: {\"type\":\"update\"}\n\nid: k-3\ndata: cut"),
        stream("id: k-3\ndata: {\"type\":\"closing\",\"reason\":\"drain\"}\n\n"),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        stream("id: k-4\ndata: {\"type\":\"closing\",\"reason\":\"finished\"}\n\n"),
    ])
    .await;
    watch(url).run().await.unwrap();
    let requests = requests.await.unwrap();
    assert!(requests[0].starts_with("get /v1/payments/a%2fb/events?until=finished "), "{}", requests[0]);
    assert!(requests.iter().all(|request| request.contains("authorization: bearer t\r\n")));
    let ids: Vec<Option<&str>> = requests
        .iter()
        .map(|request| request.lines().find_map(|line| line.strip_prefix("last-event-id: ")))
        .collect();
    assert_eq!(ids, [None, Some("k-1"), Some("k-2"), Some("k-3"), Some("k-3")]);
}

#[tokio::test]
async fn no_content_ends_it() {
    let (url, _) = gateway(vec!["HTTP/1.1 204 No Content\r\n\r\n".to_owned()]).await;
    watch(url).run().await.unwrap();
}

#[tokio::test]
async fn a_refusal_ends_it_with_a_failure() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "302 Found"] {
        let (url, _) =
            gateway(vec![format!("HTTP/1.1 {status}\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")]).await;
        assert!(watch(url).run().await.unwrap_err().is::<Refused>(), "{status}");
    }
    let (url, _) = gateway(vec!["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_owned()]).await;
    assert!(watch(url).run().await.unwrap_err().to_string().contains("does not send an event stream"));
}

#[test]
fn the_pause_grows_with_failures_and_is_never_shorter_than_asked() {
    for (retry_ms, failures, least, most) in [
        (2_731, 0, 2_731, 5_462),
        (1_000, 1, 1_000, 2_000),
        (1_000, 3, 4_000, 8_000),
        (1_000, 99, 30_000, 60_000),
        (60_000, 9, 60_000, 120_000),
    ] {
        let ms = pause(retry_ms, failures).as_millis();
        assert!((least..=most).contains(&ms), "{retry_ms} after {failures}: {ms}");
    }
}
