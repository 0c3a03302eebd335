//! TLS in process: versions, certificates, and what streams do over it.

mod clients;
mod mutual;
mod reload;
mod strict;

use crate::support::{
    Authority, Certified, Gateway, PATIENCE, Setup, eventually, generic, next_message, now_s, read_to_end,
    read_until, tls_bridge,
};
use load::{http::End, stream::Stream};
use rustls::pki_types::ServerName;
use std::{net::SocketAddr, path::Path, process::Command, sync::Arc};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The name of the tests' gateway.
pub(crate) const NAME: &str = "pay.test";

/// A gateway with TLS, an authority that its clients trust, and the folder of its certificates.
pub(crate) struct Secure {
    pub(crate) gateway: Gateway,
    pub(crate) authority: Authority,
    pub(crate) files: TempDir,
}

impl Secure {
    /// TLS on the public listener, with these further lines of `[tls]`.
    pub(crate) async fn start(lines: &str) -> Self {
        Self::with(lines, Setup::default()).await
    }

    pub(crate) async fn with(lines: &str, setup: Setup) -> Self {
        let (authority, files) = (Authority::new("Test Authority"), TempDir::new().unwrap());
        let certificate = authority.certify(&[NAME, "localhost"]).write(files.path(), "own");
        let tls = format!("listeners = [\"public\"]\n{lines}\n{certificate}");
        let gateway = Gateway::with(Setup { tls, ..setup }).await;
        Self { gateway, authority, files }
    }

    /// TLS on the public and the admin listener. Nobody has asked whether it is ready.
    pub(crate) async fn for_operators() -> Self {
        let (authority, files) = (Authority::new("Test Authority"), TempDir::new().unwrap());
        let certificate = authority.certify(&[NAME, "localhost"]).write(files.path(), "own");
        let tls = format!("listeners = [\"public\", \"admin\"]\n{certificate}");
        let admin = format!("hosts = [\"{NAME}\"]");
        let gateway = Gateway::unready(Setup { tls, admin, ..Setup::default() }).await;
        Self { gateway, authority, files }
    }

    /// Connects to `address` over TLS.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
        name: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.authority.client(protocols, None)));
        let socket = TcpStream::connect(address).await?;
        connector.connect(ServerName::try_from(name.to_owned()).unwrap(), socket).await
    }

    /// A client of others' making.
    pub(crate) fn http(&self) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_pem(self.authority.pem.as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .resolve(NAME, self.gateway.listener)
            .redirect(reqwest::redirect::Policy::none())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.gateway.listener.port())
    }

    /// The address of a bridge to the public listener.
    pub(crate) async fn bridge(&self) -> SocketAddr {
        tls_bridge(self.gateway.listener, self.authority.client(&["http/1.1"], None), NAME).await
    }

    pub(crate) async fn handshakes(&self, outcome: &str) -> f64 {
        let label = format!("reason=\"{outcome}\"");
        self.gateway.metric("paystream_tls_handshakes_total", &[&label]).await
    }
}

/// Over HTTP/1.1 the stream leaves hyper, and its TLS leaves with it.
#[tokio::test]
async fn a_stream_over_http1_follows_a_payment_to_its_end() {
    let secure = Secure::with("", Setup::stream("linger = \"1s\"\nheartbeat = \"200ms\"")).await;
    let Secure { gateway, .. } = &secure;
    let bridge = secure.bridge().await;
    let path = "/v1/payments/pay_1/events?until=finished";
    let mut stream = Stream::open(bridge, path, &gateway.bearer(&["pay_1"])).await.unwrap();
    assert_eq!((stream.head.status, stream.head.header("connection")), (200, Some("close")));
    assert_eq!(next_message(&mut stream).await.1["status"], "unknown");
    for seq in 1..=20 {
        gateway.accept(&generic(&format!("e{seq}"), "pending", "pay_1", now_s() - 60)).await;
    }
    assert_eq!(read_until(&mut stream, 20).await.len(), 20);
    gateway.accept(&generic("last", "confirmed", "pay_1", now_s())).await;
    let (messages, end) = read_to_end(&mut stream).await;
    assert_eq!((&messages[0]["seq"], end), (&21.into(), End::Clean), "{messages:?}");
    eventually("it is gone", async || gateway.metric("paystream_streams_open", &[]).await < 0.5).await;
}

#[tokio::test]
async fn a_stream_and_a_snapshot_over_http2_share_a_connection() {
    let secure = Secure::start("").await;
    let http = secure.http().build().unwrap();
    let bearer = secure.gateway.bearer(&["pay_1"]);
    let get = |path: &str| http.get(secure.url(path)).header(&bearer[0].0, &bearer[0].1);
    let mut stream = get("/v1/payments/pay_1/events").send().await.unwrap();
    assert_eq!((stream.status().as_u16(), stream.version()), (200, reqwest::Version::HTTP_2));
    secure.gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let mut text = String::new();
    while !text.contains("\"seq\":1") {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    let snapshot = get("/v1/payments/pay_1").send().await.unwrap();
    assert_eq!(snapshot.version(), reqwest::Version::HTTP_2);
    assert!(snapshot.text().await.unwrap().contains("\"seq\":1"));
    assert!((secure.handshakes("full").await - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn the_negotiation_decides_the_version_and_an_unknown_protocol_is_refused() {
    let secure = Secure::start("").await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = secure.connect(secure.gateway.listener, offered, NAME).await.unwrap();
        let negotiated = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(negotiated.as_deref(), chosen.map(str::as_bytes), "{offered:?}");
    }
    // A protocol that is not HTTP must not be mistaken for it (ALPACA).
    let refused = secure.connect(secure.gateway.listener, &["ftp"], NAME).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_host_that_it_names_and_else_the_first() {
    let (authority, files) = (Authority::new("Test Authority"), TempDir::new().unwrap());
    let certified = [&["pay.test"][..], &["*.shop.test", "shop.test"]].map(|names| authority.certify(names));
    let tables: String = certified
        .iter()
        .zip(["one", "two"])
        .map(|(certified, name)| certified.write(files.path(), name))
        .collect();
    let tls = format!("listeners = [\"public\"]\n{tables}");
    let gateway = Gateway::with(Setup { tls, ..Setup::default() }).await;
    let presented = async |name: Option<&str>| {
        // The client does not check the name here.
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &gateway.listener.to_string(), "-showcerts"]);
        match name {
            Some(name) => openssl.args(["-servername", name]),
            None => openssl.arg("-noservername"),
        };
        run(&mut openssl, "").await
    };
    for (name, expected) in [
        (Some("pay.test"), 0),
        (Some("shop.test"), 1),
        (Some("a.SHOP.test"), 1),
        (Some("a.b.shop.test"), 0),
        (Some("unknown.test"), 0),
        (None, 0),
    ] {
        let output = presented(name).await;
        let is_presented = |certified: &Certified| output.contains(certified.chain.trim());
        assert!(
            is_presented(&certified[expected]) && !is_presented(&certified[1 - expected]),
            "{name:?}: {output}"
        );
    }
    let not_after =
        gateway.metric("paystream_tls_certificate_not_after_seconds", &["certificate=\"pay.test\""]).await;
    assert!(not_after > 1e9, "{not_after}");
}

/// Runs a program with this input to its end, and returns all that it says.
pub(crate) async fn run(command: &mut Command, input: &str) -> String {
    use std::{io::Write as _, process::Stdio};
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The resumption of a session costs no signature; the ticket is of this listener.
#[tokio::test]
async fn a_client_that_comes_back_resumes_its_session() {
    let secure = Secure::start("").await;
    let bridge = secure.bridge().await;
    for _ in 0..3 {
        let path = "/v1/payments/pay_1";
        let answer = load::http::request(bridge, "GET", path, &secure.gateway.bearer(&["pay_1"]), b"").await;
        assert_eq!(answer.unwrap().head.status, 200);
    }
    assert!((secure.handshakes("full").await - 1.0).abs() < 0.1);
    assert!((secure.handshakes("resumed").await - 2.0).abs() < 0.1);
}

/// A balancer that passes TLS on says first whom it passes on.
#[tokio::test]
async fn the_header_of_the_proxy_protocol_comes_before_the_handshake() {
    let mut setup = Setup::limits("connections_per_peer = 1");
    setup.listen = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = [\"public\"]".to_owned();
    let secure = Secure::with("", setup).await;
    let connect = async |last: u8| {
        use tokio::io::AsyncWriteExt as _;
        let mut socket = TcpStream::connect(secure.gateway.listener).await.unwrap();
        let header =
            [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71", &[last][..], b"\x0a\0\0\x01\0\x50\0\x50"]
                .concat();
        socket.write_all(&header).await.unwrap();
        let connector = TlsConnector::from(Arc::new(secure.authority.client(&["http/1.1"], None)));
        connector.connect(ServerName::try_from(NAME).unwrap(), socket).await
    };
    let first = connect(5).await.unwrap();
    assert!(connect(5).await.is_err(), "this client has its connection");
    connect(6).await.unwrap();
    drop(first);
}

#[tokio::test]
async fn check_says_which_listeners_speak_tls_and_warns_of_what_expires() {
    let (authority, files) = (Authority::new("Test Authority"), TempDir::new().unwrap());
    let certificate = authority.certify(&[NAME]);
    let lines = certificate.write(files.path(), "own");
    let config = |text: &str| {
        let path = files.path().join("paystream.toml");
        std::fs::write(&path, text).unwrap();
        path
    };
    let check =
        async |path: &Path| run(crate::support::paystream().arg("check").arg("--config").arg(path), "").await;
    let said = check(&config(&format!("[tls]\nlisteners = [\"public\"]\n{lines}"))).await;
    assert!(said.contains("certificates: pay.test (until "), "{said}");
    assert!(said.contains("public listener (streams): 127.0.0.1:8080, TLS"), "{said}");
    assert!(said.contains("admin listener: 127.0.0.1:9090\n"), "{said}");
    let other = authority.certify(&[NAME]);
    Certified { chain: certificate.chain, key: other.key }.write(files.path(), "own");
    let said = check(&config(&format!("[tls]\nlisteners = [\"public\"]\n{lines}"))).await;
    assert!(said.contains("the private key does not belong"), "{said}");
}
