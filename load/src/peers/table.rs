//! The peers' tables in Markdown: medians with their spread, and ratios to `bare` pair by pair.

use super::{Values, server::Peer};
use std::fmt::Write as _;

/// Both tables, and what went wrong.
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
            of_peer.map_or_else(|| "–".to_owned(), |values| spread(values))
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
    let pairs: Vec<_> = own.iter().zip(bare).map(|(own, bare)| own / bare).collect();
    spread(&pairs)
}

/// Median, least and most; one value stands alone.
fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most), Some(median)) =
        (sorted.first(), sorted.last(), sorted.get(sorted.len() / 2))
    else {
        return "–".to_owned();
    };
    match sorted.len() {
        1 => short(*median),
        _ => format!("{} ({}–{})", short(*median), short(*least), short(*most)),
    }
}

/// Three digits are more than a noisy machine can tell apart.
fn short(value: f64) -> String {
    match value {
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
        let of_row = [(Peer::Bare, vec![1.0, 2.0, 4.0]), (Peer::Nchan, vec![2.0, 4.0, 12.0])];
        let values = Values::from([(row, of_row.into())]);
        let text = markdown(&[row], &[Peer::Bare, Peer::Nchan, Peer::PlainAxum], &values, &[], 3);
        assert!(text.contains("| time, s | 2.00 (1.00–4.00) | 4.00 (2.00–12.0) | – |"), "{text}");
        assert!(text.contains("| time, s | 1.00 (1.00–1.00) | 2.00 (2.00–3.00) | – |"), "{text}");
    }
}
