//! Line charts as SVG, without a script. Lines differ by colour, by dashes and by the shape of their points, so that colours are not
//! needed to tell them apart.

use super::escape::escape;
use std::fmt::{self, Write as _};

/// The drawing's size, in the units of its text, which is 12 high. In a narrow window a chart is about as wide as this, so that its
/// text stays readable.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 250.0;

/// Edges of the area that lines are drawn in: beside it are the numbers of the axes.
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = HEIGHT - 42.0;

/// How a line looks.
struct Style {
    colour: &'static str,
    /// Lengths of dashes and gaps; empty for a line without gaps.
    dashes: &'static str,
    /// The shape of its points, as an SVG path around 0,0.
    shape: &'static str,
}

const STYLES: [Style; 8] = [
    Style { colour: "#0b63ce", dashes: "", shape: "M-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z" },
    Style { colour: "#c2410c", dashes: "7 3", shape: "M-3,-3h6v6h-6z" },
    Style { colour: "#15803d", dashes: "2 2", shape: "M0,-4L3.5,3h-7z" },
    Style { colour: "#7e22ce", dashes: "8 2 2 2", shape: "M0,-4L4,0L0,4L-4,0z" },
    Style { colour: "#475569", dashes: "12 3", shape: "M-3,-3L3,3M-3,3L3,-3" },
    Style { colour: "#be185d", dashes: "4 4", shape: "M0,4L3.5,-3h-7z" },
    Style { colour: "#0e7490", dashes: "10 2 2 2 2 2", shape: "M-4,0H4M0,-4V4" },
    Style { colour: "#854d0e", dashes: "1 3", shape: "M-4,-1.5h8v3h-8z" },
];

/// One line of a chart.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Line {
    pub(super) fn new(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Self {
        Self { name: name.to_owned(), points: points.collect() }
    }

    /// Whether it shows anything: a single point makes no line, and one that never leaves zero says nothing.
    fn has_data(&self) -> bool {
        self.points.len() > 1 && self.points.iter().any(|(_, y)| *y > 0.0)
    }
}

/// A chart.
#[derive(Default)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    /// What the axes count.
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) lines: Vec<Line>,
    /// Marks of the x axis, where they are not its round numbers.
    pub(super) ticks: Vec<(f64, String)>,
    /// Whether each step up the y axis is ten times the one before.
    pub(super) is_logarithmic: bool,
}

/// Positions in the drawing for the values of a chart.
struct Scale {
    most_x: f64,
    least_y: f64,
    most_y: f64,
    is_logarithmic: bool,
}

impl Scale {
    fn of(plot: &Plot) -> Self {
        let all = || plot.lines.iter().flat_map(|line| line.points.iter().copied());
        let most_x = all().map(|(x, _)| x).fold(f64::MIN_POSITIVE, f64::max);
        let most_y = all().map(|(_, y)| y).fold(f64::MIN_POSITIVE, f64::max);
        if !plot.is_logarithmic {
            return Self { most_x, least_y: 0.0, most_y: most_y * 1.05, is_logarithmic: false };
        }
        let least = all().map(|(_, y)| y).filter(|y| *y > 0.0).fold(most_y, f64::min);
        let least_y = 10_f64.powf(least.log10().floor());
        let most_y = 10_f64.powf(most_y.log10().ceil()).max(least_y * 10.0);
        Self { most_x, least_y, most_y, is_logarithmic: true }
    }

    fn x(&self, x: f64) -> f64 {
        LEFT + x / self.most_x * (RIGHT - LEFT)
    }

    fn y(&self, y: f64) -> f64 {
        let share = if self.is_logarithmic {
            (y.max(self.least_y) / self.least_y).log10() / (self.most_y / self.least_y).log10()
        } else {
            y / self.most_y
        };
        BOTTOM - share * (BOTTOM - TOP)
    }

    fn marks_y(&self) -> Vec<f64> {
        if self.is_logarithmic { decades(self.least_y, self.most_y) } else { round_steps(self.most_y) }
    }
}

impl Plot {
    /// The chart with its title and legend as HTML; none if there is nothing to draw. Lines without data are left out.
    pub(super) fn draw(mut self) -> Option<String> {
        self.lines.retain(Line::has_data);
        let mut out = String::new();
        // Writing to a string can't fail.
        (!self.lines.is_empty() && self.write(&mut out).is_ok()).then_some(out)
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let scale = Scale::of(self);
        let title = escape(self.title);
        write!(out, "<figure><figcaption>{title}</figcaption><ul class=\"legend\">")?;
        let lines = || self.lines.iter().zip(STYLES.iter().cycle());
        for (line, style) in lines() {
            write!(out, "<li><svg class=\"swatch\" viewBox=\"0 0 32 12\" aria-hidden=\"true\">")?;
            write_line(out, style, &[(1.0, 6.0), (31.0, 6.0)])?;
            write_points(out, style, [(16.0, 6.0)].into_iter())?;
            write!(out, "</svg> {}</li>", escape(&line.name))?;
        }
        writeln!(out, "</ul>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">")?;
        self.write_axes(out, &scale)?;
        for (index, (line, style)) in lines().enumerate() {
            let points: Vec<_> = line.points.iter().map(|(x, y)| (scale.x(*x), scale.y(*y))).collect();
            write_line(out, style, &points)?;
            // A few points of each line are marked, and not the same of all: lines may lie on top of each other.
            let step = points.len().div_ceil(6).max(1);
            let first = index * step / self.lines.len();
            write_points(out, style, points.into_iter().skip(first).step_by(step))?;
        }
        writeln!(out, "</svg></figure>")
    }

    fn write_axes(&self, out: &mut String, scale: &Scale) -> fmt::Result {
        for y in scale.marks_y() {
            let (at, left, text) = (scale.y(y), LEFT - 6.0, short(y));
            writeln!(
                out,
                "<path class=\"grid\" d=\"M{LEFT},{at:.1}H{RIGHT}\"/>\
                 <text x=\"{left}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                at + 4.0
            )?;
        }
        let round = || round_steps(scale.most_x).into_iter().map(|x| (x, short(x))).collect();
        let ticks: Vec<_> = if self.ticks.is_empty() { round() } else { self.ticks.clone() };
        for (x, text) in ticks.iter().filter(|(x, _)| *x <= scale.most_x * 1.001) {
            let at = scale.x(*x);
            writeln!(
                out,
                "<path class=\"axis\" d=\"M{at:.1},{BOTTOM}v4\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                BOTTOM + 17.0
            )?;
        }
        let (middle, below) = (f64::midpoint(LEFT, RIGHT), HEIGHT - 6.0);
        writeln!(
            out,
            "<path class=\"axis\" d=\"M{LEFT},{BOTTOM}H{RIGHT}\"/>\
             <text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>\
             <text x=\"4\" y=\"14\">{}</text>",
            escape(self.x),
            escape(self.y)
        )
    }
}

fn write_line(out: &mut String, style: &Style, points: &[(f64, f64)]) -> fmt::Result {
    let Style { colour, dashes, .. } = style;
    write!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"{dashes}\" points=\""
    )?;
    for (x, y) in points {
        write!(out, "{x:.1},{y:.1} ")?;
    }
    writeln!(out, "\"/>")
}

fn write_points(out: &mut String, style: &Style, points: impl Iterator<Item = (f64, f64)>) -> fmt::Result {
    let Style { colour, shape, .. } = style;
    write!(out, "<g fill=\"{colour}\" stroke=\"{colour}\">")?;
    for (x, y) in points {
        write!(out, "<path transform=\"translate({x:.1},{y:.1})\" d=\"{shape}\"/>")?;
    }
    writeln!(out, "</g>")
}

/// From 0 to `most` in four to ten steps of 1, 2 or 5.
fn round_steps(most: f64) -> Vec<f64> {
    let decade = 10_f64.powf((most / 4.0).log10().floor());
    let step = [5.0, 2.0, 1.0].map(|factor| factor * decade).into_iter().find(|step| step * 4.0 <= most);
    let step = step.unwrap_or(decade);
    (0_u8..=10).map(|mark| f64::from(mark) * step).take_while(|mark| *mark <= most).collect()
}

/// The powers of ten between.
fn decades(least: f64, most: f64) -> Vec<f64> {
    std::iter::successors(Some(least), |mark| Some(mark * 10.0))
        .take_while(|mark| *mark <= most * 1.01)
        .collect()
}

/// A number in a few letters.
fn short(number: f64) -> String {
    let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    match number {
        n if n >= 1e6 => trimmed(format!("{:.2}", n / 1e6)) + " M",
        n if n >= 1e4 => trimmed(format!("{:.1}", n / 1e3)) + " k",
        n if n >= 10.0 || n == 0.0 => format!("{n:.0}"),
        n => trimmed(format!("{n:.3}")),
    }
}

#[cfg(test)]
mod tests;
