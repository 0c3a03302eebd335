//! Slots: to which of the 16,384 slots of a cluster a key belongs. Pure.

use super::tags;
use crate::payment::PARTITIONS;
use redis::{Arg, Cmd};
use std::sync::LazyLock;

/// The slots of a cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The slots of the partitions, by partition.
static OF_PARTITIONS: LazyLock<Vec<u16>> =
    LazyLock::new(|| (0..=u8::MAX).map(|partition| crc16(tags::of(partition).as_bytes()) % SLOTS).collect());

/// Returns the slot of a partition's keys and channel.
pub(super) fn of_partition(partition: u8) -> u16 {
    debug_assert_eq!(OF_PARTITIONS.len(), PARTITIONS);
    OF_PARTITIONS.get(usize::from(partition)).copied().unwrap_or_default()
}

/// Returns the partition whose keys lie in a slot, if there is one.
pub(super) fn partition(slot: u16) -> Option<u8> {
    OF_PARTITIONS.iter().zip(0..=u8::MAX).find_map(|(of, partition)| (*of == slot).then_some(partition))
}

/// Returns the slot of a key: that of what stands in its first braces, or of all of it.
pub(super) fn of_key(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// Returns the slot of the first key that a command of this store names; nothing for one without a key.
pub(super) fn of_command(command: &Cmd) -> Option<u16> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word,
        _ => &[],
    });
    let key = match words.next()? {
        // A script is followed by its digest, the number of its keys, and these.
        b"EVALSHA" | b"EVAL" => words.nth(2),
        b"TIME" | b"ROLE" => None,
        _ => words.next(),
    };
    key.map(of_key)
}

/// CRC16-XMODEM: polynomial 0x1021, nothing reflected. It is computed bit by bit, once or twice for a command, of a tag of a few bytes.
fn crc16(bytes: &[u8]) -> u16 {
    let shift = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| shift(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }

    #[test]
    fn the_braces_of_a_key_decide_its_slot() {
        let slot = of_key(b"ps:{muq}:log:default/payment/order}7{1}");
        assert_eq!((slot, partition(slot)), (of_partition(0), Some(0)));
        assert_eq!(of_key(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(of_key(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
    }

    #[test]
    fn a_command_goes_where_its_first_key_is() {
        let mut script = redis::cmd("EVALSHA");
        script.arg("digest").arg(2).arg("ps:{qmh}:head").arg("x").arg("ps:{muq}:head");
        assert_eq!(of_command(&script), Some(of_partition(255)));
        let mut plain = redis::cmd("HMGET");
        plain.arg("ps:{qmh}:head").arg("pos");
        assert_eq!(of_command(&plain), Some(of_partition(255)));
        assert_eq!(of_command(&redis::cmd("TIME")), None);
    }
}
