//! The messages of a channel: `<pos> <previous tag> <tag> <seq> <event>` for an append, the event as JSON, and
//! `<pos> <previous tag> <tag> x <tag of the first entry>` for an erasure. Pure.

use crate::{
    payment::Tag,
    store::{Notice, NoticeBody},
};
use std::sync::Arc;

/// Reads a message of `partition`'s channel. Returns nothing if any part of it does not fit.
pub(super) fn read(partition: u8, payload: &[u8]) -> Option<Notice> {
    let mut parts = payload.splitn(5, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(parts.next()?).ok();
    let pos = word()?.parse().ok()?;
    let previous: Tag = word()?.parse().ok()?;
    let tag = word()?.parse().ok()?;
    let body = match word()? {
        "x" => NoticeBody::Erased { first: word()?.parse().ok()? },
        seq => {
            let seq = seq.parse().ok()?;
            NoticeBody::Appended { seq, event: Arc::new(serde_json::from_slice(parts.next()?).ok()?) }
        }
    };
    Some(Notice { partition, pos, previous, tag, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payment::Phase, store::fake};

    #[test]
    fn a_payload_is_read_or_refused_whole() {
        let event = fake::event("pay", "evt_1", Phase::Captured);
        let json = serde_json::to_string(&event).unwrap();
        let notice = read(7, format!("12 0 00000001 3 {json}").as_bytes()).unwrap();
        assert_eq!((notice.partition, notice.pos, notice.previous), (7, 12, Tag::NONE));
        let tag = "00000001".parse().unwrap();
        assert_eq!(notice.tag, tag);
        assert_eq!(notice.body, NoticeBody::Appended { seq: 3, event: Arc::new(event) });
        let erased = read(7, b"12 0 00000002 x 00000001").unwrap();
        assert_eq!((erased.pos, erased.body), (12, NoticeBody::Erased { first: tag }));
        for bad in [
            String::new(),
            "12 0 00000001 3".to_owned(),
            "12 0 00000001 3 {}".to_owned(),
            "12 0 00000002 x".to_owned(),
            "12 0 00000002 x 1".to_owned(),
            "12 0 00000002 x 00000001 2".to_owned(),
            format!("x 0 00000001 3 {json}"),
            format!("12 ? 00000001 3 {json}"),
            format!("12 0 00000001 -3 {json}"),
            format!("12 0 00000001 3 {json}}}"),
        ] {
            assert_eq!(read(7, bad.as_bytes()), None, "{bad}");
        }
    }
}
