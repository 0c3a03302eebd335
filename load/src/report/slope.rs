//! Memory per stream, as the slope of a line through several sizes. What a process needs without any stream does not count.

/// The slope of the least-squares line through points (x, y); none without two different x.
pub(crate) fn slope(points: impl Iterator<Item = (usize, u64)>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "streams and bytes are far below 2^53")]
    let points: Vec<_> = points.map(|(x, y)| (x as f64, y as f64)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of sizes")]
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| together / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_passes_over_what_is_constant() {
        for (points, expected) in [
            (vec![(0, 1_000), (10, 1_500)], Some(50.0)),
            (vec![(5, 7_700), (10, 8_200), (20, 9_200)], Some(100.0)),
            (vec![(5, 7_700)], None),
            (vec![(5, 7_700), (5, 7_800)], None),
            (vec![], None),
        ] {
            let found = slope(points.clone().into_iter()).map(f64::round);
            assert_eq!(found, expected, "{points:?}");
        }
    }
}
