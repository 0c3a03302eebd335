//! A TCP proxy that does to connections what networks do to them. Dropping it closes everything.
//!
//! It carries bytes between a client and its upstream, one task a connection. What is wrong at present, its [`Trouble`], can
//! change at any time and counts for open connections too. Only two troubles know what is carried: they tell connections
//! that subscribe to Redis channels from others, by the word in the bytes.

use super::free_address;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// The most that is carried at once.
const PIECE: usize = 16 << 10;

/// What is wrong with the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// Each piece arrives this much later.
    Delay(Duration),
    /// No more than this many bytes arrive in a second.
    Throttle(u64),
    /// Open connections are reset, and new ones refused: nobody listens.
    Refuse,
    /// Open connections are reset, and new ones closed as soon as they are taken.
    Drop,
    /// Nothing arrives and nothing is closed. What was sent meanwhile arrives when this ends, as by retransmission.
    BlackHole,
    /// The same, for those connections only that have subscribed to a sharded channel.
    DeafSubscriptions,
    /// The messages of sharded channels disappear, and nothing else does.
    LostNotices,
    /// Whatever a client sends arrives, and no answer to it does.
    LostAnswers,
}

#[derive(Clone, Copy, Debug)]
struct Weather {
    upstream: SocketAddr,
    trouble: Trouble,
    /// How often all connections were cut.
    cuts: u64,
}

impl Weather {
    const fn admits(&self) -> bool {
        !matches!(self.trouble, Trouble::Drop | Trouble::Refuse)
    }

    fn carries(&self, subscribed: bool) -> bool {
        match self.trouble {
            Trouble::BlackHole => false,
            Trouble::DeafSubscriptions => !subscribed,
            _ => true,
        }
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    weather: watch::Sender<Weather>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy to `upstream`, without any trouble.
    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).await.unwrap();
        let (weather, changes) = watch::channel(Weather { upstream, trouble: Trouble::None, cuts: 0 });
        let task = tokio::spawn(listen(listener, changes)).abort_handle();
        Self { address, weather, task }
    }

    /// Begins a trouble, and ends the one before.
    pub(crate) fn set(&self, trouble: Trouble) {
        self.weather.send_modify(|weather| weather.trouble = trouble);
    }

    /// Resets all open connections.
    pub(crate) fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Resets all open connections; new ones lead to another upstream.
    pub(crate) fn lead_to(&self, upstream: SocketAddr) {
        self.weather.send_modify(|weather| {
            weather.upstream = upstream;
            weather.cuts += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, mut weather: watch::Receiver<Weather>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        if weather.borrow_and_update().trouble == Trouble::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = weather.changed() => if changed.is_err() { return },
            accepted = accepted => if let Ok((client, _)) = accepted {
                connections.spawn(connect(client, weather.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection to its end, and resets it where it is cut.
async fn connect(mut client: TcpStream, mut weather: watch::Receiver<Weather>) {
    let begun = *weather.borrow_and_update();
    if !begun.admits() {
        return;
    }
    let is_cut = |weather: &Weather| weather.cuts != begun.cuts || !weather.admits();
    let changes = weather.clone();
    let Ok(mut server) = TcpStream::connect(begun.upstream).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let subscribed = Arc::new(AtomicBool::new(false));
    let is_over = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = Pump { weather: changes.clone(), subscribed: Arc::clone(&subscribed), answers: None };
        let down = Pump { weather: changes, subscribed, answers: Some(Vec::new()) };
        tokio::select! {
            _ = up.run(from_client, to_server) => true,
            _ = down.run(from_server, to_client) => true,
            _ = weather.wait_for(is_cut) => false,
        }
    };
    if !is_over {
        // They may be closed already.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// One direction of a connection.
struct Pump {
    weather: watch::Receiver<Weather>,
    subscribed: Arc<AtomicBool>,
    /// In the direction of the client: the beginning of an answer that has not come whole.
    answers: Option<Vec<u8>>,
}

impl Pump {
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            self.passable().await?;
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            // The trouble may have begun while there was nothing to carry.
            self.passable().await?;
            let trouble = self.weather.borrow().trouble;
            let piece = self.sift(&buffer[..read], trouble);
            match trouble {
                Trouble::Delay(time) => sleep(time).await,
                Trouble::Throttle(rate) => {
                    let share = usize::try_from(rate / 50).unwrap().max(1);
                    for part in piece.chunks(share) {
                        to.write_all(part).await?;
                        sleep(Duration::from_millis(20)).await;
                    }
                    continue;
                }
                _ => {}
            }
            to.write_all(&piece).await?;
        }
    }

    async fn passable(&mut self) -> io::Result<()> {
        let subscribed = &self.subscribed;
        let passes = |weather: &Weather| weather.carries(subscribed.load(Ordering::Relaxed));
        self.weather.wait_for(passes).await.map(drop).map_err(io::Error::other)
    }

    /// What of a piece goes on now: all of it, but for a subscription's answers, which go on whole or not at all.
    fn sift(&mut self, piece: &[u8], trouble: Trouble) -> Vec<u8> {
        const SUBSCRIBE: &[u8] = b"SSUBSCRIBE";
        let Some(answers) = &mut self.answers else {
            if piece.windows(SUBSCRIBE.len()).any(|bytes| bytes == SUBSCRIBE) {
                self.subscribed.store(true, Ordering::Relaxed);
            }
            return piece.to_vec();
        };
        if trouble == Trouble::LostAnswers {
            return Vec::new();
        }
        // Whoever subscribes has had the answers to all that it asked before.
        if !self.subscribed.load(Ordering::Relaxed) {
            return piece.to_vec();
        }
        answers.extend_from_slice(piece);
        let mut whole = Vec::new();
        while let Some(length) = answer_length(answers) {
            let rest = answers.split_off(length);
            let answer = std::mem::replace(answers, rest);
            let is_notice = answer.starts_with(b">3\r\n$8\r\nsmessage\r\n");
            if !(is_notice && trouble == Trouble::LostNotices) {
                whole.extend(answer);
            }
        }
        whole
    }
}

/// How long the first RESP answer in `bytes` is, if it has come whole.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut wanted) = (0, 1_usize);
    while wanted > 0 {
        let rest = bytes.get(at..)?;
        let line = rest.windows(2).position(|end| end == b"\r\n")?;
        let number = || std::str::from_utf8(rest.get(1..line)?).ok()?.parse::<i64>().ok();
        let count = || usize::try_from(number()?.max(0)).ok();
        at += line + 2;
        wanted -= 1;
        match rest.first()? {
            b'$' | b'=' | b'!' if number()? >= 0 => at += count()? + 2,
            b'*' | b'~' | b'>' => wanted += count()?,
            b'%' => wanted += 2 * count()?,
            b'|' => wanted += 2 * count()? + 1,
            _ => {}
        }
    }
    (at <= bytes.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (answer, whole) in [
            ("+OK\r\n", true),
            ("$5\r\nhello\r\n", true),
            ("$-1\r\n", true),
            ("_\r\n", true),
            ("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", true),
            ("%1\r\n+a\r\n*1\r\n:1\r\n", true),
            (">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n", true),
            ("$5\r\nhel", false),
            ("*2\r\n:1\r\n", false),
            ("+OK", false),
        ] {
            let followed = format!("{answer}{}", if whole { "+more" } else { "" });
            assert_eq!(answer_length(followed.as_bytes()), whole.then_some(answer.len()), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn each_trouble_does_what_it_says() {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::to(upstream.local_addr().unwrap()).await;
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = upstream.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let mut echo = [0; 2];
        let mut open = TcpStream::connect(proxy.address).await.unwrap();
        open.write_all(b"hi").await.unwrap();
        open.read_exact(&mut echo).await.unwrap();

        proxy.set(Trouble::BlackHole);
        open.write_all(b"ho").await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(100), open.read_exact(&mut echo)).await;
        assert!(waited.is_err(), "a black hole gave something back");
        proxy.set(Trouble::None);
        open.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ho", "what was sent comes late");

        proxy.cut();
        let reset = open.read(&mut echo).await.unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);

        proxy.set(Trouble::Drop);
        let mut dropped = TcpStream::connect(proxy.address).await.unwrap();
        assert!(dropped.read(&mut echo).await.is_ok_and(|read| read == 0));

        proxy.set(Trouble::Refuse);
        super::super::eventually("it refuses", async || TcpStream::connect(proxy.address).await.is_err())
            .await;
        proxy.set(Trouble::None);
        super::super::eventually("it is back", async || TcpStream::connect(proxy.address).await.is_ok())
            .await;
    }
}
