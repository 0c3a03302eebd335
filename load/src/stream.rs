//! One open event stream, read piece by piece.

use crate::{
    http::{Connection, End, Head, Piece},
    sse::{Event, Item, Parser},
};
use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};
use tokio::time::timeout;

/// One response of type `text/event-stream`, or any other answer of the server: see [`Stream::head`].
#[derive(Debug)]
pub struct Stream {
    /// Status and headers.
    pub head: Head,
    /// How many chunks ended inside an event. A connection lost at such a place would lose the event.
    pub torn: u64,
    connection: Connection,
    parser: Parser,
    ready: VecDeque<Item>,
    ended: Option<End>,
}

/// What a stream brings next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// An item of the stream.
    Item(Item),
    /// The stream has ended.
    End(End),
}

impl Stream {
    /// Opens a stream on a connection of its own.
    pub async fn open(host: SocketAddr, path: &str, headers: &[(String, String)]) -> io::Result<Self> {
        let mut connection = Connection::open(host).await?;
        let mut all = vec![("accept".to_owned(), "text/event-stream".to_owned())];
        all.extend_from_slice(headers);
        let head = connection.send("GET", path, &all, b"").await?;
        Ok(Self { head, torn: 0, connection, parser: Parser::default(), ready: VecDeque::new(), ended: None })
    }

    /// Waits for the next item. It can be cancelled without losing any.
    pub async fn next(&mut self) -> io::Result<Next> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Next::Item(item));
            }
            if let Some(end) = self.ended {
                return Ok(Next::End(end));
            }
            match self.connection.piece().await? {
                Piece::End(end) => self.ended = Some(end),
                Piece::Data(data) => {
                    let mut items = Vec::new();
                    self.parser.push(&data, &mut items);
                    self.ready.extend(items);
                    self.torn += u64::from(!self.parser.is_between_events());
                }
            }
        }
    }

    /// Sends bytes that belong to no request: see [`Connection::send_stray`].
    pub async fn send_stray(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.send_stray(bytes).await
    }

    /// Waits for the next event and skips comments and `retry:`. Fails if the stream ends or `patience` runs out.
    pub async fn event(&mut self, patience: Duration) -> io::Result<Event> {
        let wanted = async {
            loop {
                match self.next().await? {
                    Next::Item(Item::Event(event)) => return Ok(event),
                    Next::Item(_) => {}
                    Next::End(end) => {
                        let what = format!("the stream ended ({end:?}) where an event was expected");
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                    }
                }
            }
        };
        timeout(patience, wanted).await?
    }

    /// Reads to the end. Fails if `patience` runs out.
    pub async fn rest(&mut self, patience: Duration) -> io::Result<(Vec<Item>, End)> {
        let mut items = Vec::new();
        let wanted = async {
            loop {
                match self.next().await? {
                    Next::Item(item) => items.push(item),
                    Next::End(end) => return io::Result::Ok(end),
                }
            }
        };
        let end = timeout(patience, wanted).await??;
        Ok((items, end))
    }
}
