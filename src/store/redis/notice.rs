//! The messages of a channel: `<pos> <previous tag> <tag> <seq> <event>` for an append, the event as JSON, and
//! `<pos> <previous tag> <tag> x <tag of the first entry>` for an erasure. Pure.
//!
//! The JSON of an event begins with its subject, so that the hub sees whether anybody watches it without parsing the rest. Its order means
//! nothing to other versions: the one before reads it as any, and what that one writes is parsed at once.

use crate::{
    payment::Tag,
    store::{Notice, NoticeBody, NoticedEvent},
};
use bytes::Bytes;

/// Reads a message of `partition`'s channel. Returns nothing if any part of it does not fit.
pub(super) fn read(partition: u8, payload: Vec<u8>) -> Option<Notice> {
    let payload = Bytes::from(payload);
    let mut parts = payload.splitn(5, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(parts.next()?).ok();
    let pos = word()?.parse().ok()?;
    let previous: Tag = word()?.parse().ok()?;
    let tag = word()?.parse().ok()?;
    let body = match word()? {
        "x" => NoticeBody::Erased { first: word()?.parse().ok()? },
        seq => {
            let seq = seq.parse().ok()?;
            NoticeBody::Appended { seq, event: NoticedEvent::from_json(payload.slice_ref(parts.next()?))? }
        }
    };
    Some(Notice { partition, pos, previous, tag, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payment::Phase, store::fake};
    use std::sync::Arc;

    #[test]
    fn a_payload_is_read_or_refused_whole() {
        let event = fake::event("pay", "evt_1", Phase::Captured);
        let json = serde_json::to_string(&event).unwrap();
        let notice = read(7, format!("12 0 00000001 3 {json}").into()).unwrap();
        assert_eq!((notice.partition, notice.pos, notice.previous), (7, 12, Tag::NONE));
        let tag = "00000001".parse().unwrap();
        assert_eq!(notice.tag, tag);
        assert_eq!(notice.body, NoticeBody::Appended { seq: 3, event: Arc::new(event.clone()).into() });
        let before = as_before(&event);
        let erased = read(7, b"12 0 00000002 x 00000001".to_vec()).unwrap();
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
            format!("12 0 00000001 3 {}", &before[..before.len() - 1]),
            format!("12 0 00000001 3 {before}}}"),
            "12 0 00000001 3 {\"subject\":{\"realm\":\"default\",\"kind\":\"payment\"".to_owned(),
            format!("12 0 00000001 3 {}", json.replace("\"payment\"", "\"pigeon\"")),
        ] {
            assert_eq!(read(7, bad.clone().into()), None, "{bad}");
        }
    }

    #[test]
    fn the_subject_is_known_before_the_rest_is_parsed() {
        let event = fake::event("pay", "evt_1", Phase::Captured);
        let json = serde_json::to_string(&event).unwrap();
        let cut = json.replace("\"facts\":", "\"fact\":");
        assert_ne!(cut, json);
        let notice = read(7, format!("12 0 00000001 3 {cut}").into()).unwrap();
        let NoticeBody::Appended { event: noticed, .. } = notice.body else { panic!("it was appended") };
        assert_eq!(noticed.subject(), &event.subject);
        assert_eq!(noticed.event(), None, "the rest does not fit");
    }

    /// The version before wrote the subject after other members.
    fn as_before(event: &crate::payment::Event) -> String {
        let json = serde_json::to_string(event).unwrap();
        let end = json.find("},").unwrap() + 1;
        let subject = &json[1..end];
        let rest = &json[end + 1..json.len() - 1];
        format!("{{{rest},{subject}}}")
    }

    #[test]
    fn an_event_is_read_wherever_its_subject_stands() {
        let event = fake::event("pay", "evt_1", Phase::Captured);
        let before = as_before(&event);
        assert!(before.starts_with("{\"id\":\"evt_1\","), "{before}");
        let notice = read(7, format!("12 0 00000001 3 {before}").into()).unwrap();
        assert_eq!(notice.body, NoticeBody::Appended { seq: 3, event: Arc::new(event).into() });
    }
}
