//! Checks the continuity of one stream, in 32 bytes: finds events that are lost, duplicated or out of order, and statuses taken back.
//!
//! A bitmap holds which of the last 64 `seq`s have come. It tells a late event from a lost one, and a repeated one from both, without a
//! list.

use serde::Deserialize;
use std::borrow::Cow;

/// The fields of a message that are checked. All others are skipped.
#[derive(Deserialize, Debug)]
pub(crate) struct Message<'a> {
    #[serde(borrow, default)]
    pub(crate) r#type: Cow<'a, str>,
    #[serde(default)]
    pub(crate) seq: u64,
    prev: Option<u64>,
    /// Set by a publisher that numbers its events itself: events up to this `seq` were answered before it sent this one.
    settled: Option<u64>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) reason: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) event: Option<Occurrence<'a>>,
    #[serde(default)]
    correction: bool,
    #[serde(default)]
    pub(crate) up_to_date: bool,
    #[serde(default)]
    pub(crate) stale: bool,
}

#[derive(Deserialize, Debug)]
pub(crate) struct Occurrence<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Cow<'a, str>,
}

/// The errors of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Faults {
    /// How many `seq`s cannot come any more, or were skipped by a `ready`.
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// The status went back, and the update is not marked as a correction.
    pub(crate) status_back: u64,
    /// State was replaced without a reason, or `prev` is not the `seq` before.
    pub(crate) unexplained: u64,
}

/// What a stream has seen so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// The newest `seq` seen.
    pub(crate) seq: u64,
    /// Bit k tells that `seq - k` has come. Events before the beginning of the stream count as come.
    window: u64,
    /// Events up to this `seq` must not come any more. If the server numbers the events, this is the newest `seq`.
    settled: u64,
    standing: u8,
    begun: bool,
}

impl Default for Check {
    fn default() -> Self {
        Self { seq: 0, window: u64::MAX, settled: 0, standing: 0, begun: false }
    }
}

impl Check {
    /// Checks one message and returns its errors.
    pub(crate) fn take(&mut self, message: &Message<'_>) -> Faults {
        let mut faults = Faults::default();
        match &*message.r#type {
            "snapshot" => {
                let told = !self.begun || !message.reason.is_empty();
                faults.unexplained = u64::from(!told);
                *self = Self {
                    seq: message.seq,
                    settled: message.seq,
                    standing: standing(&message.status),
                    begun: true,
                    ..Self::default()
                };
            }
            "update" => {
                self.begun = true;
                self.update(message, &mut faults);
            }
            "ready" => {
                self.begun = true;
                match message.seq.checked_sub(self.seq) {
                    Some(0) => {}
                    Some(ahead) => {
                        faults.lost = ahead;
                        *self = Self { seq: message.seq, settled: message.seq, ..*self };
                    }
                    None => faults.unexplained = 1,
                }
            }
            _ => {}
        }
        faults
    }

    fn update(&mut self, message: &Message<'_>, faults: &mut Faults) {
        faults.unexplained = u64::from(message.prev.is_some_and(|prev| prev + 1 != message.seq));
        let late = message.seq <= self.settled;
        self.settled = self.settled.max(message.settled.unwrap_or(message.seq));
        if let Some(behind) = self.seq.checked_sub(message.seq) {
            let bit = u32::try_from(behind).ok().and_then(|behind| 1_u64.checked_shl(behind)).unwrap_or(0);
            if bit & !self.window == 0 {
                faults.duplicated = 1;
            } else {
                self.window |= bit;
                faults.reordered = u64::from(late);
            }
            return;
        }
        let ahead = message.seq - self.seq;
        let (kept, gone) = match u32::try_from(ahead) {
            Ok(shift @ 0..64) => (self.window << shift, !self.window >> (64 - shift)),
            _ => (0, !self.window),
        };
        faults.lost = u64::from(gone.count_ones()) + ahead.saturating_sub(64);
        self.window = kept | 1;
        self.seq = message.seq;
        let standing = standing(&message.status);
        faults.status_back = u64::from(standing < self.standing && !message.correction);
        self.standing = standing;
    }

    /// How many of the last 64 events have not come.
    pub(crate) fn holes(&self) -> u64 {
        u64::from((!self.window).count_ones())
    }
}

/// The rank of a status in a payment's life. Without a correction the rank does not fall.
fn standing(status: &str) -> u8 {
    match status {
        "created" | "requires_action" | "processing" | "failed" => 1,
        "authorized" => 2,
        "canceled" | "expired" => 3,
        "captured" => 4,
        "partially_refunded" => 5,
        "refunded" => 6,
        "disputed" => 7,
        "charged_back" => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(messages: &[&str]) -> (Faults, u64) {
        let mut check = Check::default();
        let mut sum = Faults::default();
        for text in messages {
            let faults = check.take(&serde_json::from_str(text).unwrap());
            sum.lost += faults.lost;
            sum.duplicated += faults.duplicated;
            sum.reordered += faults.reordered;
            sum.status_back += faults.status_back;
            sum.unexplained += faults.unexplained;
        }
        (sum, check.holes())
    }

    #[test]
    fn events_that_were_sent_at_once_have_no_order() {
        let none = Faults::default();
        for (sent, faults) in [
            // 4 and 5 were sent while 3 had no answer.
            (vec![(5, 2), (3, 2), (4, 2)], none),
            // 5 was sent when 3 and 4 had been answered.
            (vec![(5, 4), (3, 2), (4, 2)], Faults { reordered: 2, ..none }),
            (vec![(4, 2), (5, 4), (3, 2)], Faults { reordered: 1, ..none }),
            (vec![(5, 2), (3, 2), (3, 2), (4, 2)], Faults { duplicated: 1, ..none }),
        ] {
            let mut messages = vec![r#"{"type":"snapshot","seq":2,"status":"processing"}"#.to_owned()];
            messages.extend(sent.iter().map(|(seq, settled)| {
                format!(r#"{{"type":"update","seq":{seq},"settled":{settled},"status":"processing"}}"#)
            }));
            let messages: Vec<_> = messages.iter().map(String::as_str).collect();
            assert_eq!(run(&messages), (faults, 0), "{sent:?}");
        }
    }

    fn update(seq: u64) -> String {
        format!(r#"{{"type":"update","seq":{seq},"prev":{},"status":"processing"}}"#, seq - 1)
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        let none = Faults::default();
        for (seqs, faults, holes) in [
            (vec![3, 4, 5], none, 0),
            (vec![4], none, 1),
            (vec![6], none, 3),
            (vec![3, 3], Faults { duplicated: 1, ..none }, 0),
            (vec![2], Faults { duplicated: 1, ..none }, 0),
            (vec![4, 3], Faults { reordered: 1, ..none }, 0),
            (vec![4, 3, 3], Faults { reordered: 1, duplicated: 1, ..none }, 0),
            (vec![4, 68], Faults { lost: 1, ..none }, 63),
            (vec![200], Faults { lost: 197 - 63, ..none }, 63),
        ] {
            let mut messages = vec![r#"{"type":"snapshot","seq":2,"status":"processing"}"#.to_owned()];
            messages.extend(seqs.iter().map(|seq| update(*seq)));
            let messages: Vec<_> = messages.iter().map(String::as_str).collect();
            assert_eq!(run(&messages), (faults, holes), "{seqs:?}");
        }
    }

    #[test]
    fn state_may_be_replaced_and_status_go_back_only_with_a_reason() {
        let none = Faults::default();
        for (messages, faults) in [
            (["snapshot|2|captured||0", "snapshot|2|captured|rolled_back|0"], none),
            (["snapshot|2|captured||0", "snapshot|2|captured||0"], Faults { unexplained: 1, ..none }),
            (["snapshot|2|captured||0", "update|3|processing||1"], none),
            (["snapshot|2|captured||0", "update|3|processing||0"], Faults { status_back: 1, ..none }),
            (["snapshot|2|captured||0", "ready|2|||0"], none),
            (["snapshot|2|captured||0", "ready|4|||0"], Faults { lost: 2, ..none }),
            (["snapshot|2|captured||0", "ready|1|||0"], Faults { unexplained: 1, ..none }),
        ] {
            let spelled: Vec<_> = messages
                .iter()
                .map(|message| {
                    let [kind, seq, status, reason, correction] =
                        message.split('|').collect::<Vec<_>>()[..] else { panic!("{message}") };
                    format!(
                        r#"{{"type":"{kind}","seq":{seq},"status":"{status}","reason":"{reason}","correction":{}}}"#,
                        correction == "1"
                    )
                })
                .collect();
            let spelled: Vec<_> = spelled.iter().map(String::as_str).collect();
            assert_eq!(run(&spelled).0, faults, "{messages:?}");
        }
    }
}
