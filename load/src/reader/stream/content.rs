//! The content of a stream: from the bytes of a body to checked messages with their latencies.

use super::{Context, Stream};
use crate::{
    plan::EventId,
    reader::{
        check::Message,
        wire::{self, Block, Body, Broken, Step},
    },
    stats::count,
};

impl Stream {
    /// Handles bytes of the body.
    pub(super) fn content(&mut self, mut bytes: &[u8], context: &mut Context) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let (piece, rest) = self.body.take(bytes)?;
            if self.body == Body::Done && piece.is_empty() {
                break;
            }
            bytes = rest;
            if self.tail.is_empty() {
                let used = self.blocks(piece, context)?;
                self.tail.extend_from_slice(piece.get(used..).unwrap_or_default());
            } else {
                let mut whole = std::mem::take(&mut self.tail);
                whole.extend_from_slice(piece);
                let used = self.blocks(&whole, context)?;
                if used < whole.len() {
                    whole.drain(..used);
                    self.tail = whole;
                }
            }
            if self.tail.len() > wire::MAX_UNFINISHED {
                return Err("an event without end");
            }
        }
        Ok(())
    }

    /// Handles whole blocks, and returns how many bytes they took.
    fn blocks(&mut self, text: &[u8], context: &mut Context) -> Result<usize, Broken> {
        let mut at = 0;
        while let Some((step, used)) = text.get(at..).and_then(wire::step) {
            at += used;
            match step {
                Step::Nothing => {}
                Step::Comment => context.seen.heartbeats += 1,
                Step::Retry(ms) => self.retry_ms = ms,
                Step::Block(block) => self.block(&block, context)?,
            }
        }
        Ok(at)
    }

    fn block(&mut self, block: &Block<'_>, context: &mut Context) -> Result<(), Broken> {
        self.retry_ms = block.retry_ms.unwrap_or(self.retry_ms);
        if let Some(id) = block.id {
            if self.cursor.len() == id.len() {
                self.cursor.copy_from_slice(id);
            } else {
                self.cursor = id.into();
            }
        }
        match &block.data {
            Some(_) if block.event == b"heartbeat" => context.seen.heartbeats += 1,
            Some(data) if matches!(block.event, b"" | b"message" | b"data") => {
                // Durable Streams sends everything posted in the meantime as one event, with one object after another.
                for message in serde_json::Deserializer::from_slice(data).into_iter() {
                    let message = message.map_err(|_| "a message that is no JSON object")?;
                    self.message(&message, context);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, context: &mut Context) {
        let seen = &mut context.seen;
        let kind = match &*message.r#type {
            "stale" => {
                if message.stale {
                    "stale"
                } else {
                    "fresh"
                }
            }
            kind => kind,
        };
        count(&mut seen.messages, kind);
        let faults = self.check.take(message);
        seen.lost += faults.lost;
        seen.duplicated += faults.duplicated;
        seen.reordered += faults.reordered;
        seen.status_back += faults.status_back;
        seen.unexplained += faults.unexplained;
        match kind {
            "snapshot" if !message.reason.is_empty() => count(&mut seen.reasons, &message.reason),
            "closing" => {
                count(&mut seen.closings, &message.reason);
                self.told_to_go = true;
                return;
            }
            "update" => {
                let event = message.event.as_ref().and_then(|event| EventId::parse(&event.id));
                if let Some(EventId { number, due_us, lag_us }) = event {
                    let latency = context.now_us.saturating_sub(context.plan.epoch_us + due_us);
                    let from_sent = latency.saturating_sub(lag_us);
                    if self.live {
                        seen.deliveries += 1;
                        seen.latency.record(latency);
                        seen.from_sent.record(from_sent);
                        context.calm.record(context.now_us, from_sent);
                    } else {
                        seen.replayed.record(latency);
                    }
                    if let Some(board) = &context.board {
                        board.delivered(number);
                    }
                }
            }
            _ => {}
        }
        self.live |= message.up_to_date;
        self.first_message(context);
    }

    /// Notes that the stream is open, if this is its first message since it connected.
    pub(super) fn first_message(&mut self, context: &mut Context) {
        if !self.ready {
            self.ready = true;
            context.ready += 1;
            context.opening = context.opening.saturating_sub(1);
            let seen = &mut context.seen;
            let times = if self.resuming { &mut seen.resuming } else { &mut seen.opening };
            times.record(context.now_us.saturating_sub(self.since_us));
        }
    }
}
