//! The tables of `load peers` in Markdown: medians with their spread, and ratios to `bare` repeat by repeat.

use super::peer::Peer;
use std::{collections::BTreeMap, fmt::Write as _};

/// The values of each row, by peer and repeat. A run that failed has no value.
pub(super) type Values = BTreeMap<&'static str, BTreeMap<Peer, BTreeMap<usize, f64>>>;

/// Makes both tables, followed by the problems.
pub(super) fn markdown(
    rows: &[&'static str],
    peers: &[Peer],
    values: &Values,
    problems: &[String],
    repeats: usize,
) -> String {
    let mut out = format!("Medians of {repeats} interleaved repeats, least and most in brackets.\n\n");
    header(&mut out, peers);
    for row in rows {
        let cells = peers.iter().map(|peer| {
            let of_peer = values.get(row).and_then(|of_row| of_row.get(peer));
            spread(of_peer.into_iter().flatten().map(|(_, value)| *value))
        });
        line(&mut out, row, cells);
    }
    if peers.contains(&Peer::Bare) {
        out.push_str("\nRatios to `bare`, repeat by repeat: median, least and most.\n\n");
        header(&mut out, peers);
        for row in rows {
            line(&mut out, row, peers.iter().map(|peer| ratio(values, row, *peer)));
        }
    }
    for problem in problems {
        // Writing to a string can't fail.
        let _ = write!(out, "\nPROBLEM: {problem}");
    }
    out.push('\n');
    out
}

fn header(out: &mut String, peers: &[Peer]) {
    line(out, "", peers.iter().map(ToString::to_string));
    line(out, "---", peers.iter().map(|_| "---".to_owned()));
}

fn line(out: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let _ = writeln!(out, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn ratio(values: &Values, row: &str, peer: Peer) -> String {
    let of = |peer: Peer| values.get(row)?.get(&peer);
    let (Some(bare), Some(own)) = (of(Peer::Bare), of(peer)) else { return "–".to_owned() };
    // A ratio to zero is left out.
    let ratios = own.iter().filter_map(|(repeat, own)| Some(own / bare.get(repeat)?));
    spread(ratios.filter(|ratio| ratio.is_finite()))
}

/// The median with the least and the greatest value; a single value stands alone.
fn spread(values: impl Iterator<Item = f64>) -> String {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (above, below) = (sorted.get(sorted.len() / 2), sorted.get(sorted.len().saturating_sub(1) / 2));
    match (sorted.as_slice(), below, above) {
        ([value], ..) => short(*value),
        ([least, .., most], Some(below), Some(above)) => {
            let median = f64::midpoint(*below, *above);
            format!("{} ({}–{})", short(median), short(*least), short(*most))
        }
        _ => "–".to_owned(),
    }
}

/// Formats a value with three digits, which is as much as a noisy machine allows to tell apart.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v >= 10_000.0 => format!("{:.1}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_median_spread_and_the_ratio_of_each_pair() {
        let row = "time, s";
        // The third run of nchan failed.
        let bare = BTreeMap::from([(1, 1.0), (2, 2.0), (3, 5.0), (4, 4.0)]);
        let nchan = BTreeMap::from([(1, 2.0), (2, 4.0), (4, 12.0)]);
        let values = Values::from([(row, [(Peer::Bare, bare), (Peer::Nchan, nchan)].into())]);
        let text = markdown(&[row], &[Peer::Bare, Peer::Nchan, Peer::PlainAxum], &values, &[], 4);
        assert!(text.contains("| time, s | 3.00 (1.00–5.00) | 4.00 (2.00–12.0) | – |"), "{text}");
        assert!(text.contains("| time, s | 1.00 (1.00–1.00) | 2.00 (2.00–3.00) | – |"), "{text}");
    }
}
