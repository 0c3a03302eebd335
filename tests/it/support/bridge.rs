//! A bridge from HTTP/1.1 to HTTP/2: it lets the tests' client, which speaks HTTP/1.1, watch a gateway whose streams stay in HTTP/2.
//! What the gateway resets, it cuts off; what the client leaves, it cancels.

use axum::body::Body;
use hyper::{
    Request, Response, Uri, Version, body::Incoming, client::conn::http2, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};

/// Starts a bridge to `gateway`, and gives its own address. It lasts as long as the test's runtime.
pub(crate) async fn bridge(gateway: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request| forward(gateway, request));
            // It ends with an error wherever the gateway cuts a stream off.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    address
}

/// Sends one request on an HTTP/2 connection of its own. A gateway that is not there is a connection that is closed.
async fn forward(
    gateway: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let socket = TcpStream::connect(gateway).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = Uri::try_from(format!("http://{gateway}{path}"))?;
    head.version = Version::HTTP_2;
    for name in [header::CONNECTION, header::HOST, header::TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    let (mut head, body) = sender.send_request(Request::from_parts(head, body)).await?.into_parts();
    head.version = Version::HTTP_11;
    Ok(Response::from_parts(head, Body::new(body)))
}
