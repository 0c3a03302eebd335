use super::*;
use tokio::net::TcpListener;

/// The head and the pieces that a client receives from a server that sends `bytes` in pieces of `step` bytes and closes.
async fn response_to(bytes: &'static [u8], step: usize) -> io::Result<(Head, Vec<Piece>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        for piece in bytes.chunks(step) {
            socket.write_all(piece).await?;
            tokio::task::yield_now().await;
        }
        // The request is read, so that closing does not become a reset.
        let _ = socket.read(&mut [0; 1024]).await?;
        io::Result::Ok(())
    });
    let mut connection = Connection::open(host).await?;
    let head = connection.send("GET", "/", &[], b"").await?;
    let mut pieces = Vec::new();
    while !matches!(pieces.last(), Some(Piece::End(_))) {
        pieces.push(connection.piece().await?);
    }
    server.await??;
    Ok((head, pieces))
}

#[tokio::test]
async fn chunks_are_told_apart_and_so_are_the_two_ends() {
    let whole =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
    let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n";
    for step in [1, 2, 7, 1000] {
        for (bytes, end) in [(&whole[..], End::Clean), (&cut[..], End::Unclean)] {
            let (head, pieces) = response_to(bytes, step).await.unwrap();
            assert_eq!(head.status, 200);
            let expected =
                [Piece::Data(b"abc".to_vec()), Piece::Data(b"0123456789".to_vec()), Piece::End(end)];
            assert_eq!(pieces, expected, "in steps of {step}");
        }
    }
}

#[tokio::test]
async fn a_length_that_is_not_reached_is_an_unclean_end() {
    let (_, pieces) = response_to(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 1000).await.unwrap();
    assert_eq!(pieces, [Piece::Data(b"abc".to_vec()), Piece::End(End::Unclean)]);
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    assert!(response_to(b"SMTP ready\r\n\r\n", 1000).await.is_err());
    assert!(response_to(b"HTTP/1.1 200", 1000).await.is_err());
}
