//! A stand-in for a provider's server, on loopback. A test sets its answers and may look at the requests that it received.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// A stand-in for a provider's server. It stops when it is dropped.
pub(super) struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    /// The status and body of each answer, by the request's path or by the `key_id` in its body. Other requests get 404.
    answers: Mutex<HashMap<String, (u16, Vec<u8>)>>,
    /// The path and body of each request so far.
    asked: Mutex<Vec<(String, String)>>,
    /// Holds answers back while it has no permits.
    open: Semaphore,
}

impl StandIn {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, asked) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { answers, asked, open: Semaphore::new(1) });
        let known = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&known);
                tokio::spawn(async move { shared.serve(socket).await });
            }
        });
        Self { address, shared, server }
    }

    /// Returns the URL of the server, `http://` and its address.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn answer(&self, at: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.shared.answers.lock().unwrap().insert(at.to_owned(), (status, body.into()));
    }

    pub(super) fn asked(&self) -> Vec<(String, String)> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Holds all answers back until the returned permit is dropped.
    pub(super) async fn hold(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.shared.open.acquire().await.unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// Reads one request from a connection and answers it.
    async fn serve(&self, mut socket: TcpStream) {
        let mut read = Vec::new();
        let (head, mut body) = loop {
            if socket.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
            let text = String::from_utf8_lossy(&read);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                break (head.to_owned(), body.to_owned());
            }
        };
        let length = head
            .to_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        while body.len() < length {
            let mut more = Vec::new();
            socket.read_buf(&mut more).await.unwrap();
            body.push_str(&String::from_utf8_lossy(&more));
        }
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let key_id = serde_json::from_str::<serde_json::Value>(&body)
            .ok()
            .and_then(|body| Some(body.get("key_id")?.as_str()?.to_owned()));
        self.asked.lock().unwrap().push((path.clone(), body));
        drop(self.open.acquire().await);
        let answers = self.answers.lock().unwrap().clone();
        let (status, body) = answers.get(&key_id.unwrap_or(path)).cloned().unwrap_or((404, Vec::new()));
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _gone = socket.write_all(&[head.as_bytes(), &body].concat()).await;
    }
}
