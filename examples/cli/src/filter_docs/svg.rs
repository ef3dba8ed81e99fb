//! Plots as small SVG files. Coordinates are rounded to a tenth of a pixel.

use std::fmt::Write as _;

/// Room for the labels: left, top, right, bottom.
const MARGIN: (f64, f64, f64, f64) = (52.0, 14.0, 14.0, 40.0);
const WIDTH: f64 = 640.0;
const COLOURS: [&str; 4] = ["#c2410c", "#1d4ed8", "#15803d", "#7e22ce"];
/// Of what is there for comparison.
const GREY: &str = "#9ca3af";

/// One direction of a plot.
pub struct Axis {
    pub label: &'static str,
    pub min: f64,
    pub max: f64,
    pub log: bool,
    /// Places with a line, and their text.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Frequencies that are heard, logarithmic.
    pub fn frequency() -> Self {
        let ticks = [
            (20.0, "20"),
            (50.0, "50"),
            (100.0, "100"),
            (200.0, "200"),
            (500.0, "500"),
            (1e3, "1k"),
            (2e3, "2k"),
            (5e3, "5k"),
            (1e4, "10k"),
            (2e4, "20k"),
        ];
        let ticks = ticks.map(|(hz, text)| (hz, text.to_owned())).to_vec();
        Self { label: "Hz", min: 20.0, max: 20_000.0, log: true, ticks }
    }

    /// From `min` to `max` with a line at each multiple of `step`.
    pub fn linear(label: &'static str, min: f64, max: f64, step: f64) -> Self {
        let first = (min / step).ceil() as i64;
        let last = (max / step).floor() as i64;
        let decimals = (-step.log10()).ceil().max(0.0) as usize;
        let ticks = (first..=last).map(|n| (n as f64 * step, format!("{:.decimals$}", n as f64 * step))).collect();
        Self { label, min, max, log: false, ticks }
    }

    /// Decibels that hold `values`, at most 72 below the top.
    pub fn decibels(label: &'static str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let top = values.clone().fold(-60.0, f64::max);
        let max = ((top + 1.0) / 6.0).ceil() * 6.0;
        let bottom = values.fold(max, f64::min).max(max - 72.0);
        let min = (((bottom - 1.0) / 6.0).floor() * 6.0).min(max - 12.0);
        let step = if max - min > 36.0 {
            12.0
        } else if max - min > 18.0 {
            6.0
        } else {
            3.0
        };
        Self::linear(label, min, max, step)
    }

    /// Place from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.min, self.max);
        if self.log {
            (value / self.min).ln() / (self.max / self.min).ln()
        } else {
            (value - self.min) / (self.max - self.min)
        }
    }
}

/// A line through points.
pub struct Line {
    /// Empty for none.
    pub label: String,
    pub points: Vec<(f64, f64)>,
    /// Drawn behind and in grey.
    pub grey: bool,
}

/// A plot of lines over each other.
pub fn lines(x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let mut svg = Svg::new(300.0);
    let area = svg.area(0.0, 300.0);
    svg.axes(area, x, y);
    let colour = |index: usize| {
        let line = &lines[index];
        let rank = lines[..index].iter().filter(|l| !l.grey).count();
        if line.grey { GREY } else { COLOURS[rank % COLOURS.len()] }
    };
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<_> = line.points.iter().map(|(a, b)| area.place(x.share(*a), y.share(*b))).collect();
        svg.path(
            &points,
            &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"", colour(index)),
        );
    }
    let labels = lines.iter().enumerate().filter(|(_, l)| !l.label.is_empty());
    for (row, (index, line)) in labels.enumerate() {
        svg.text(area.left + 10.0, area.top + 18.0 + 16.0 * row as f64, "start", colour(index), &line.label);
    }
    svg.finish()
}

/// Waveforms below each other, on one time axis: (label, rate, samples).
pub fn waves(waves: &[(&str, u32, &[f32])]) -> String {
    const PANEL: f64 = 118.0;
    let height = PANEL * waves.len() as f64 + MARGIN.3;
    let mut svg = Svg::new(height);
    let length_s = |w: &(&str, u32, &[f32])| w.2.len().max(1) as f64 / f64::from(w.1.max(1));
    let seconds = waves.iter().map(length_s).fold(0.0, f64::max);
    let step =
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0].into_iter().find(|s| seconds / s <= 10.0).unwrap_or(10.0);
    let top = waves.iter().flat_map(|w| w.2).fold(0.0f32, |m, x| m.max(x.abs())).max(1e-3);
    for (row, (label, rate_hz, samples)) in waves.iter().enumerate() {
        let last = row + 1 == waves.len();
        let area = svg.area(PANEL * row as f64, PANEL * (row + 1) as f64 + MARGIN.3);
        let mut x = Axis::linear(if last { "s" } else { "" }, 0.0, seconds, step);
        if !last {
            x.ticks.iter_mut().for_each(|t| t.1.clear());
        }
        let top = f64::from(top) * 1.05;
        // One or two lines on each side: 1, 2 or 5 of some power of ten.
        let power = 10f64.powf(top.log10().floor());
        let tick = [5.0, 2.0].into_iter().map(|n| n * power).find(|n| *n <= top).unwrap_or(power);
        let y = Axis::linear("", -top, top, tick);
        svg.axes(area, &x, &y);
        let columns = 560usize;
        let frames = (seconds * f64::from(*rate_hz)).round() as usize;
        let column = |c: usize| {
            let (from, to) = (c * frames / columns, ((c + 1) * frames / columns).max(c * frames / columns + 1));
            samples.get(from..to.min(samples.len())).filter(|part| !part.is_empty())
        };
        let (mut upper, mut lower) = (Vec::new(), Vec::new());
        for (c, part) in (0..columns).filter_map(|c| column(c).map(|p| (c, p))) {
            let (low, high) = part.iter().fold((f32::MAX, f32::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
            let share = c as f64 / columns as f64;
            // A little apart, so that silence is a line.
            let (_, y0) = area.place(0.0, y.share(f64::from(high)));
            let (x0, y1) = area.place(share, y.share(f64::from(low)));
            upper.push((x0, y0 - 0.4));
            lower.push((x0, y1 + 0.4));
        }
        lower.reverse();
        upper.append(&mut lower);
        let colour = if last { COLOURS[0] } else { GREY };
        svg.path(&upper, &format!("fill=\"{colour}\" stroke=\"none\""));
        svg.text(area.left + 8.0, area.top + 15.0, "start", "#374151", label);
    }
    svg.finish()
}

/// Where a plot lies, in pixels.
#[derive(Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top))
    }
}

struct Svg {
    text: String,
}

impl Svg {
    fn new(height: f64) -> Self {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n"
        );
        let _ = writeln!(text, "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>");
        Self { text }
    }

    fn area(&self, top: f64, bottom: f64) -> Area {
        Area { left: MARGIN.0, top: top + MARGIN.1, right: WIDTH - MARGIN.2, bottom: bottom - MARGIN.3 }
    }

    fn axes(&mut self, area: Area, x: &Axis, y: &Axis) {
        for (value, text) in &x.ticks {
            let (at, _) = area.place(x.share(*value), 0.0);
            self.line((at, area.top), (at, area.bottom));
            self.text(at, area.bottom + 16.0, "middle", "#374151", text);
        }
        for (value, text) in &y.ticks {
            let (_, at) = area.place(0.0, y.share(*value));
            self.line((area.left, at), (area.right, at));
            self.text(area.left - 6.0, at + 4.0, "end", "#374151", text);
        }
        self.text(area.right, area.bottom + 32.0, "end", "#374151", x.label);
        let middle = 0.5 * (area.top + area.bottom);
        if !y.label.is_empty() {
            let _ = writeln!(
                self.text,
                "<text x=\"13\" y=\"{middle:.1}\" text-anchor=\"middle\" fill=\"#374151\" \
                 transform=\"rotate(-90 13 {middle:.1})\">{}</text>",
                y.label
            );
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#e5e7eb\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn path(&mut self, points: &[(f64, f64)], style: &str) {
        let mut d = String::new();
        for (n, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if n == 0 { "M" } else { " L" });
        }
        let _ = writeln!(self.text, "<path d=\"{d}\" {style}/>");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
        if !text.is_empty() {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                self.text,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
            );
        }
    }

    fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}
