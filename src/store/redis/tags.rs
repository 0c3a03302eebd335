//! The hash tags of the 256 partitions. Pure.
//!
//! A cluster hashes what stands in the braces of a key to one of 16,384 slots (CRC16 modulo 16,384), and each shard usually
//! owns one range of slots. The tag of partition `p` hashes to a slot within 2 of `64 p + 32`, the middle of the `p`-th of
//! 256 equal ranges. So however many shards there are, each of them gets its share of the partitions; plain numbers as tags
//! would give one shard of 24 almost twice its share.
//!
//! Each tag has one to three lower-case letters, so none is one of the numbers that layout 1 used. Of all such words, a
//! search took for each partition the one nearest to the middle of its range; of several, it took the shortest and then
//! the first by the alphabet.

use std::{collections::HashMap, sync::LazyLock};

/// The tags by partition. The stored data depends on them, so a change of one needs another number of the layout
/// ([`LAYOUT`](super::layout::LAYOUT)).
const TAGS: [&str; 256] = [
    "muq", "hbz", "aio", "ubv", "nme", "csv", "boy", "gfp", "dnh", "aga", "hrv", "ele", "oaf", "baw", "ccz",
    "ftq", "dck", "pvp", "haw", "eaf", "org", "blt", "cny", "fgp", "eoh", "hoy", "adl", "dsg", "wkn", "kio",
    "bbz", "gks", "apd", "dgo", "eeb", "hes", "bhp", "ovc", "zu", "kce", "yim", "ekl", "dwc", "iip", "cds",
    "fmz", "gow", "jqd", "qmv", "f", "ddb", "amk", "cwr", "gz", "gbt", "jbe", "ace", "djl", "eha", "hvr",
    "bes", "glz", "fpu", "knf", "emk", "hmz", "axm", "dof", "nbe", "cbt", "jia", "gwr", "lvr", "aha", "hct",
    "ece", "onf", "bpu", "clz", "fes", "dlk", "aeb", "hnw", "epd", "oce", "bct", "kvc", "os", "mip", "qus",
    "akl", "dbe", "nqd", "cow", "bmz", "gds", "aaf", "dho", "tvp", "hjs", "bgp", "gny", "kw", "krg", "qqw",
    "edl", "dfa", "aoh", "cks", "ey", "oio", "skn", "qbv", "eio", "dkb", "iuq", "cfp", "vx", "gsv", "jme",
    "ale", "lrv", "ega", "hgp", "btq", "gcz", "faw", "kaf", "bn", "crf", "bni", "onx", "mta", "hcj", "iag",
    "dav", "gin", "sbw", "cbj", "fua", "dox", "afq", "hsf", "emu", "gzo", "bmd", "coi", "fxb", "lkc", "aup",
    "qko", "min", "fhn", "cag", "jtp", "gjc", "enx", "hni", "ild", "drw", "bwb", "ows", "fbd", "ckm", "aqt",
    "log", "edr", "hdc", "cec", "flj", "gng", "byl", "hjm", "mcd", "dvs", "aax", "cvb", "fj", "gcd", "bjm",
    "hgn", "mpe", "der", "iec", "bdc", "gmj", "fqe", "cfn", "abu", "lbd", "eiq", "hwb", "sl", "ccd", "bai",
    "gvb", "mec", "hlj", "ipe", "dnv", "gfn", "bqe", "cmj", "fdc", "lwb", "aiq", "hbd", "ebu", "gkm", "bbd",
    "kws", "nc", "dsy", "adr", "hog", "eqt", "fyl", "cng", "blj", "gec", "eax", "qtc", "icd", "dcu", "bxb",
    "goi", "jg", "czo", "iin", "uko", "eup", "hkc", "cjc", "ntp", "gag", "bhn", "qpg", "mld", "dgq", "anx",
    "knx", "wh", "grf", "bem", "hhn", "mag", "djr", "ita", "bua", "gbj", "wbw", "cin", "amu", "lsf", "x",
    "qmh",
];

static PARTITIONS: LazyLock<HashMap<&str, u8>> =
    LazyLock::new(|| TAGS.into_iter().zip(0..=u8::MAX).collect());

/// Returns the tag of a partition.
#[expect(clippy::indexing_slicing, reason = "there is one tag for each value of a byte")]
pub(super) const fn of(partition: u8) -> &'static str {
    TAGS[partition as usize]
}

/// Returns the partition that a tag stands for.
pub(super) fn partition(tag: &str) -> Option<u8> {
    PARTITIONS.get(tag).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::slot;
    use std::collections::BTreeMap;

    #[test]
    fn each_tag_lies_in_the_middle_of_its_partitions_slots() {
        for tag in TAGS {
            assert!(
                (1..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{tag}"
            );
        }
        for p in 0..=u8::MAX {
            let middle = 64 * u16::from(p) + 32;
            assert!(
                slot::of_key(of(p).as_bytes()).abs_diff(middle) <= 2,
                "partition {p}: {} in slot {}",
                of(p),
                slot::of_key(of(p).as_bytes())
            );
            assert_eq!(partition(of(p)), Some(p));
        }
        for unknown in ["", "0", "255", "Muq", "muqx"] {
            assert_eq!(partition(unknown), None, "{unknown}");
        }
    }

    /// The largest number of partitions that one of `shards` equal slot ranges holds, over the mean.
    fn largest_share(shards: usize) -> f64 {
        let mut shares = BTreeMap::<usize, usize>::new();
        for tag in TAGS {
            *shares.entry(usize::from(slot::of_key(tag.as_bytes())) * shards / 16_384).or_default() += 1;
        }
        assert_eq!(shares.len(), shards, "a shard has no partition");
        *shares.values().max().unwrap() as f64 * shards as f64 / 256.0
    }

    #[test]
    fn partitions_spread_evenly_over_any_number_of_shards() {
        for (shards, expected) in
            [(1, 1.0), (2, 1.0), (3, 1.01), (6, 1.01), (12, 1.04), (24, 1.04), (64, 1.0)]
        {
            let share = largest_share(shards);
            assert!(share <= expected, "{shards} shards: {share}");
        }
    }
}
