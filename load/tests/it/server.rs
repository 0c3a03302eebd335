//! A small gateway with a fault. It keeps the logs of payments in memory and has a thread for each connection.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

/// The `seq` at which a stream goes wrong.
const WRONG: usize = 5;

/// The number of posts after which a server ends or stalls, if that is its fault.
pub(crate) const ENOUGH: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    /// One update is left out.
    Lost,
    /// One update comes twice.
    Doubled,
    /// Two updates change places.
    Swapped,
    /// The status of a captured payment goes back to `processing`.
    StatusBack,
    /// One stream ends without a `closing`.
    Cut,
    /// No answer is HTTP.
    Gibberish,
    /// All streams are refused.
    Refused,
    /// After a while, all connections end and none is taken any more.
    Killed,
    /// After a while, nothing more is written.
    Stalled,
    /// A hundred posts a second are answered, one after the other.
    Throttled,
    /// Streams are written a byte at a time.
    Dripping,
}

#[derive(Default)]
struct Data {
    logs: HashMap<String, Vec<String>>,
    accepted: usize,
    streams: usize,
    connections: usize,
    /// How many updates were written to all streams.
    written: usize,
    /// The greatest number of updates that were not written yet when an event came, including those of this event.
    most_to_write: usize,
    sockets: Vec<TcpStream>,
    cut: bool,
    over: bool,
}

struct Shared {
    fault: Fault,
    data: Mutex<Data>,
    changed: Condvar,
    turn: Mutex<()>,
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            fault,
            data: Mutex::default(),
            changed: Condvar::new(),
            turn: Mutex::default(),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for socket in listener.incoming().flatten() {
                    let mut data = shared.data();
                    if data.over {
                        return;
                    }
                    data.connections += 1;
                    data.sockets.push(socket.try_clone().unwrap());
                    drop(data);
                    let shared = Arc::clone(&shared);
                    // An error means that the client has closed the connection, which is no failure of the test.
                    thread::spawn(move || drop(shared.serve(socket)));
                }
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.data().connections
    }

    /// The greatest number of updates in flight at the same time, if all streams watch one payment.
    pub(crate) fn most_under_way(&self) -> usize {
        self.shared.data().most_to_write
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.end();
        // This wakes the listener, which then ends.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    fn end(&self) {
        let mut data = self.data();
        data.over = true;
        for socket in data.sockets.drain(..) {
            drop(socket.shutdown(Shutdown::Both));
        }
        self.changed.notify_all();
    }

    fn serve(&self, socket: TcpStream) -> std::io::Result<()> {
        socket.set_nodelay(true)?;
        let mut writer = socket.try_clone()?;
        let mut reader = BufReader::new(socket);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let (mut length, mut cursor) = (0, None);
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                let header = header.trim().to_ascii_lowercase();
                if header.is_empty() {
                    break;
                }
                if let Some(value) = header.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
                if let Some(value) = header.strip_prefix("last-event-id: tag-") {
                    cursor = Some(value.parse::<usize>().unwrap());
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            if self.fault == Fault::Gibberish {
                return writer.write_all(b"220 mail.example ESMTP\r\n\r\n");
            }
            if line.starts_with("GET") {
                let payment = path.split('/').nth(3).unwrap_or_default();
                return self.stream(&mut writer, payment, cursor);
            }
            self.take(&body);
            let over = self.data().accepted >= ENOUGH;
            match self.fault {
                Fault::Killed if over => {
                    self.end();
                    return Ok(());
                }
                Fault::Stalled if over => self.wait_for_the_end(),
                Fault::Throttled => {
                    let _turn = self.turn.lock().unwrap();
                    thread::park_timeout(Duration::from_millis(10));
                }
                _ => {}
            }
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    }

    fn take(&self, body: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        let mut data = self.data();
        if self.fault == Fault::Stalled && data.accepted >= ENOUGH {
            return;
        }
        let payment = body["payment"]["id"].as_str().unwrap().to_owned();
        data.logs.entry(payment).or_default().push(body["id"].as_str().unwrap().to_owned());
        data.accepted += 1;
        data.most_to_write =
            data.most_to_write.max((data.accepted * data.streams).saturating_sub(data.written));
        self.changed.notify_all();
    }

    fn wait_for_the_end(&self) {
        drop(self.changed.wait_while(self.data(), |data| !data.over).unwrap());
    }

    fn stream(&self, writer: &mut TcpStream, payment: &str, cursor: Option<usize>) -> std::io::Result<()> {
        if self.fault == Fault::Refused {
            return writer.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        }
        writer.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        let mut data = self.data();
        data.streams += 1;
        let length = data.logs.get(payment).map_or(0, Vec::len);
        drop(data);
        let mut seq = cursor.unwrap_or(length);
        if cursor.is_none() {
            let data = format!(r#"{{"type":"snapshot","seq":{seq},"status":"created","up_to_date":true}}"#);
            self.write(writer, &format!("retry: 50\nid: tag-{seq}\ndata: {data}\n\n"))?;
        } else if seq == length {
            let data = format!(r#"{{"type":"ready","seq":{seq},"up_to_date":true}}"#);
            self.write(writer, &format!("id: tag-{seq}\ndata: {data}\n\n"))?;
        }
        loop {
            let reaches = |data: &Data, seq: usize| data.logs.get(payment).is_some_and(|log| log.len() > seq);
            let mut data =
                self.changed.wait_while(self.data(), |data| !data.over && !reaches(data, seq)).unwrap();
            if data.over {
                return Ok(());
            }
            seq += 1;
            data.written += 1;
            if self.fault == Fault::Cut && seq == WRONG && !std::mem::replace(&mut data.cut, true) {
                return writer.shutdown(Shutdown::Both);
            }
            let id = |seq: usize| data.logs[payment].get(seq - 1).cloned().unwrap_or_default();
            let (own, before) = (id(seq), id(seq.max(2) - 1));
            drop(data);
            self.updates(writer, seq, &own, &before)?;
        }
    }

    /// Writes the update with this `seq`, changed by the fault.
    fn updates(&self, writer: &mut TcpStream, seq: usize, id: &str, id_before: &str) -> std::io::Result<()> {
        let status = if self.fault == Fault::StatusBack && seq == WRONG { "processing" } else { "captured" };
        let update_before = update(seq - 1, id_before, "captured");
        let update = update(seq, id, status);
        match self.fault {
            Fault::Lost | Fault::Swapped if seq == WRONG => Ok(()),
            Fault::Swapped if seq == WRONG + 1 => {
                self.write(writer, &update)?;
                self.write(writer, &update_before)
            }
            Fault::Doubled if seq == WRONG => {
                self.write(writer, &update)?;
                self.write(writer, &update)
            }
            _ => self.write(writer, &update),
        }
    }

    fn write(&self, writer: &mut TcpStream, text: &str) -> std::io::Result<()> {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        if self.fault != Fault::Dripping {
            return writer.write_all(chunk.as_bytes());
        }
        chunk.as_bytes().iter().try_for_each(|byte| writer.write_all(&[*byte]))
    }
}

fn update(seq: usize, id: &str, status: &str) -> String {
    let prev = seq.saturating_sub(1);
    let data = format!(
        r#"{{"type":"update","seq":{seq},"prev":{prev},"status":"{status}","event":{{"id":"{id}"}},"up_to_date":true}}"#
    );
    format!("id: tag-{seq}\ndata: {data}\n\n")
}
