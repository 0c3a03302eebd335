use super::*;

fn plot(lines: &[(&str, &[(f64, f64)])]) -> Plot {
    let lines = lines.iter().map(|(name, points)| Line::new(name, points.iter().copied())).collect();
    Plot { title: "Title", x: "streams", y: "MiB", lines, ..Plot::default() }
}

/// Values of an attribute, in the order in which they stand.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("{name}=\"");
    text.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_chart_without_data_is_not_drawn_and_a_line_without_data_is_not_in_the_legend() {
    let (zero, single) = ([(0.0, 0.0), (9.0, 0.0)], [(5.0, 5.0)]);
    for lines in [&[][..], &[("zero", &zero[..]), ("single", &single), ("none", &[])]] {
        assert_eq!(plot(lines).draw(), None);
    }
    let drawn = plot(&[("zero", &zero), ("seen", &[(0.0, 1.0), (1.0, 2.0)])]).draw().unwrap();
    assert!(drawn.contains("seen</li>") && !drawn.contains("zero"), "{drawn}");
}

#[test]
fn every_line_is_drawn_and_each_looks_like_its_sample_in_the_legend_and_like_no_other() {
    let points = [(0.0, 1.0), (1.0, 2.0), (2.0, 1.5)];
    let names: Vec<_> = (1..=STYLES.len()).map(|number| format!("line {number}")).collect();
    let lines: Vec<_> = names.iter().map(|name| (name.as_str(), &points[..])).collect();
    let drawn = plot(&lines).draw().unwrap();
    let (legend, chart) = drawn.split_once("</ul>").unwrap();
    for name in ["stroke-dasharray", "d"] {
        let kinds = |text| {
            let mut kinds: Vec<_> = values(text, &format!(" {name}")).into_iter().collect();
            kinds.retain(|kind| !kind.starts_with("M46,") && !kind.ends_with("v4"));
            kinds.dedup();
            kinds
        };
        assert_eq!(kinds(legend), kinds(chart), "{name}");
        let mut distinct = kinds(legend);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), STYLES.len(), "{name}");
    }
}

#[test]
fn no_text_and_no_point_lies_outside_the_drawing() {
    for (most_x, most_y, is_logarithmic) in [
        (1.0, 1.0, false),
        (19_999.0, 0.004, false),
        (600.3, 123_456_789.0, false),
        (20_000.0, 99_999.0, true),
        (3.0, 0.000_2, true),
    ] {
        let points = [(0.0, most_y / 1e4), (most_x / 2.0, most_y / 3.0), (most_x, most_y)];
        let plot = Plot { is_logarithmic, ..plot(&[("a", &points)]) };
        let drawn = plot.draw().unwrap();
        let chart = drawn.split_once("</ul>").unwrap().1;
        for text in chart.split("<text ").skip(1) {
            let [x, y] = ["x", "y"].map(|name| values(text, name)[0].parse::<f64>().unwrap());
            let words = text.split(['>', '<']).nth(1).unwrap();
            // No letter of this size is wider than 8 units.
            let wide = words.chars().count() as f64 * 8.0;
            let left = match values(text, "text-anchor").first() {
                Some(&"middle") => x - wide / 2.0,
                Some(_) => x - wide,
                None => x,
            };
            assert!(left >= 0.0 && left + wide <= WIDTH, "{words:?} from {left} to {}", left + wide);
            assert!((12.0..=HEIGHT - 4.0).contains(&y), "{words:?} at {y}");
        }
        let points = values(chart, "points")[0].split_whitespace();
        for point in points.map(|point| point.split_once(',').unwrap()) {
            let (x, y): (f64, f64) = (point.0.parse().unwrap(), point.1.parse().unwrap());
            assert!((LEFT..=RIGHT).contains(&x) && (TOP - 0.1..=BOTTOM).contains(&y), "{point:?}");
        }
    }
}

#[test]
fn numbers_are_short() {
    for (number, text) in [
        (0.0, "0"),
        (0.001, "0.001"),
        (0.5, "0.5"),
        (7.0, "7"),
        (25.0, "25"),
        (5_000.0, "5000"),
        (12_500.0, "12.5 k"),
        (200_000.0, "200 k"),
        (1_500_000.0, "1.5 M"),
    ] {
        assert_eq!(short(number), text);
    }
}
