//! Streams: what a browser reads. Snapshots, updates, resumption, heartbeats, and the several ways to end.
//!
//! A stream pulls updates from its topics by its cursor; it has no queue. This room knows the hub and the payment model. It
//! must not know who posted an event, nor what a token looks like: a request comes to it with its grant already decided.
//!
//! | file | noun |
//! |---|---|
//! | `streams`  | all streams of the node, and what runs beside them |
//! | `node`     | what they share |
//! | `inspect`  | what operators see of a stream, and by what they find it; pure |
//! | `operate`  | listing streams for operators, and ending some |
//! | `residents` | the streams that stay in HTTP, as operators find them |
//! | `open`     | a request for a stream, and the answer to it |
//! | `open_realm` | a request for a stream or a page of all payments of a realm |
//! | `realm`    | what a stream of all payments writes |
//! | `drive`    | when a stream writes, and when and how it ends; pure |
//! | `content`  | what any stream writes |
//! | `session`  | what a stream of some payments writes; pure |
//! | `noting`   | what is noted of a stream for receipts |
//! | `lane`     | one payment of a stream, and how far the stream has come in its log; pure |
//! | `moment`   | the time and the conditions by which a stream decides |
//! | `wire`     | how each event is spelled; pure |
//! | `reason`   | why a stream is refused, why it ends, and why it starts over |
//! | `begun`    | a stream before it is decided which sink drives it |
//! | `sink`     | the HTTP body that drives a stream |
//! | `reactor`  | drives the streams whose sockets have left HTTP |
//! | `census`   | how many streams and long polls are open, and whose |
//! | `snapshot` | the same state as one JSON answer |
//! | `shown`    | what a page says that it has shown |
//! | `settings` | `[stream]` of the configuration |

mod begun;
mod census;
mod content;
mod drive;
mod inspect;
mod lane;
mod moment;
mod node;
mod noting;
mod open;
mod open_realm;
mod operate;
mod reactor;
mod realm;
mod reason;
mod residents;
mod session;
mod settings;
mod shown;
mod sink;
mod snapshot;
mod streams;
mod wire;

pub use begun::{Begun, Detachable};
pub use census::Holders;
pub use drive::Stands;
pub use inspect::{StreamFilter, StreamId, StreamInfo, StreamList};
pub use open::{Open, Opened};
pub use open_realm::OpenRealm;
pub use reactor::{Departure, Framing};
pub use reason::Closing;
pub use settings::Settings;
pub use shown::{Shown, ShownAnswer};
pub use sink::{Body, Cut};
pub use snapshot::{LongPoll, Snapshot};
pub use streams::Streams;

#[cfg(test)]
mod tests;
