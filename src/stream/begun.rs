//! A stream that has begun, and that no sink drives yet.

use super::{
    drive::Drive,
    node::Node,
    reactor::{Arrival, Departure, Reactors},
};
use crate::hub::{Bell, Watch};
use bytes::BytesMut;
use std::sync::{Arc, Mutex, PoisonError};

/// A stream with its first bytes, before it is decided which sink drives it.
pub struct Begun {
    pub(super) node: Arc<Node>,
    pub(super) drive: Drive,
    /// Rings when there is news for a stream that stays in HTTP.
    pub(super) bell: Arc<Bell>,
    /// Hold the topics of the stream.
    pub(super) watches: Vec<Watch>,
    /// The first bytes of the stream.
    pub(super) out: BytesMut,
    /// Where the stream goes if its socket leaves HTTP.
    pub(super) reactors: Option<Arc<Reactors>>,
}

impl Begun {
    /// Goes on with the stream on the bare socket.
    pub fn leave(self, departure: Departure) {
        let Self { drive, watches, out, reactors, .. } = self;
        if let Some(reactors) = reactors {
            reactors.adopt(Arrival { drive, watches, out, departure });
        }
    }
}

/// A handle to the stream of a response body, by which the stream can be taken out as long as the body was not polled. Clones
/// share the stream.
#[derive(Clone)]
pub struct Detachable(Arc<Mutex<Option<Box<Begun>>>>);

impl Detachable {
    pub(super) fn new(begun: Begun) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(begun)))))
    }

    /// Takes the stream out to let it leave HTTP by [`Begun::leave`]; the body is then empty and must not be sent. `None` if the
    /// stream has to stay.
    #[must_use]
    pub fn detach(&self) -> Option<Box<Begun>> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.take_if(|begun| begun.reactors.is_some())
    }

    /// Takes the stream out to drive it in the body.
    pub(super) fn take(&self) -> Option<Box<Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
