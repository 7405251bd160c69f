//! Charts as SVG. The plot stretches to the width of the page; labels are HTML beside it, so that their size stays.

use super::escape::escape;
use super::series::{Lane, Point, Series};
use std::fmt::Write;
use std::time::Duration;

/// Units of a plot's own coordinates, in both directions.
const SIZE: f64 = 1000.0;
/// Steps of a time axis, in seconds.
const STEPS: [u32; 22] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172_800, 432_000,
    864_000, 2_592_000,
];

/// The time that all charts of a page share, and the stages in it.
pub struct Axis<'a> {
    pub from: f64,
    pub to: f64,
    pub stages: &'a [(f64, f64)],
}

/// Legend of the numbers.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    Share,
    Seconds,
    PerSecond,
    Number,
    /// A natural logarithm, drawn in powers of ten.
    Log,
}

/// A line of a chart.
pub struct Line<'a> {
    pub series: &'a Series,
    /// Its style: `canary`, `baseline`, `evidence` or `threshold`.
    pub style: &'static str,
    pub label: String,
}

/// The values of the vertical axis.
struct Scale {
    least: f64,
    most: f64,
    step: f64,
    unit: Unit,
}

impl Scale {
    fn of(lines: &[Line<'_>], unit: Unit) -> Self {
        let most = lines.iter().map(|line| line.series.most()).fold(0.0, f64::max);
        let least = lines.iter().map(|line| line.series.least()).fold(0.0, f64::min);
        if unit == Unit::Log {
            let ten = std::f64::consts::LN_10;
            // Beyond the threshold the evidence only grows: the scale keeps to where it is decided.
            let fires = lines.iter().filter(|line| line.style == "threshold").map(|line| line.series.most());
            let top = (fires.fold(0.0, f64::max) / ten).ceil() + 2.0;
            let (least, most) = ((least / ten).floor().clamp(-4.0, 0.0), (most / ten).ceil().clamp(top - 1.0, top));
            return Self { least, most, step: ((most - least) / 5.0).ceil().max(1.0), unit };
        }
        let range = if most - least > 0.0 { most - least } else { 1.0 };
        let rough = range / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(power);
        Self { least: (least / step).floor() * step, most: ((most / step).ceil() * step).max(step), step, unit }
    }

    /// From the top, in units of the plot.
    fn y(&self, value: f64) -> f64 {
        let value = if self.unit == Unit::Log { value / std::f64::consts::LN_10 } else { value };
        SIZE * (1.0 - (value.clamp(self.least, self.most) - self.least) / (self.most - self.least))
    }

    /// Values with a label, and where they are from the top, in percent.
    fn ticks(&self) -> Vec<(f64, String)> {
        let label = |value: f64| match self.unit {
            Unit::Log => format!("10<sup>{value:.0}</sup>"),
            Unit::Share => format!("{} %", plain(value * 100.0, self.step * 100.0)),
            Unit::Seconds if self.most < 1.0 => format!("{} ms", plain(value * 1e3, self.step * 1e3)),
            Unit::Seconds => format!("{} s", plain(value, self.step)),
            Unit::PerSecond | Unit::Number => plain(value, self.step),
        };
        let values = (0..20).map(|i| self.least + self.step * f64::from(i));
        let values = values.take_while(|value| *value <= self.most + 1e-6 * self.step);
        values.map(|value| (100.0 * (1.0 - (value - self.least) / (self.most - self.least)), label(value))).collect()
    }
}

/// With as many digits as the step needs.
fn plain(value: f64, step: f64) -> String {
    let digits = (0..6_usize).zip([1.0, 1e1, 1e2, 1e3, 1e4, 1e5]).find(|(_, times)| {
        let scaled = step * times;
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1e-300)
    });
    let digits = digits.map_or(6, |(digits, _)| digits);
    let value = if value == 0.0 { 0.0 } else { value };
    if value.abs() >= 1e6 { format!("{value:e}") } else { format!("{value:.digits$}") }
}

/// `5:00`, `1:05:00`.
pub fn time(seconds: f64) -> String {
    let all = Duration::try_from_secs_f64(seconds.max(0.0).round()).unwrap_or_default().as_secs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

impl Axis<'_> {
    fn x(&self, at: f64) -> f64 {
        SIZE * ((at - self.from) / self.length()).clamp(0.0, 1.0)
    }

    fn length(&self) -> f64 {
        (self.to - self.from).max(1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let step = STEPS.into_iter().map(f64::from).find(|step| self.length() / step <= 5.0);
        let step = step.unwrap_or_else(|| (self.length() / 5.0 / 2_592_000.0).ceil() * 2_592_000.0);
        let first = (self.from / step).ceil();
        (0..7).map(|i| (first + f64::from(i)) * step).filter(|at| *at <= self.from + self.length()).collect()
    }

    /// Labels of the time, under a plot.
    pub fn labels(&self) -> String {
        let mut labels = String::from(r#"<div class="times" aria-hidden="true">"#);
        for at in self.ticks() {
            let x = self.x(at) / SIZE * 100.0;
            let _ = write!(labels, r#"<span style="left:{x:.2}%">{}</span>"#, time(at));
        }
        labels + "</div>"
    }

    /// Lines of the time and of stages.
    fn grid(&self, out: &mut String) {
        for at in self.ticks() {
            let x = self.x(at);
            let _ = write!(out, r#"<path class="grid" d="M{x:.1} 0V{SIZE}"/>"#);
        }
        for (at, stage) in self.stages.iter().filter(|(at, _)| *at > self.from) {
            let x = self.x(*at);
            let _ = write!(
                out,
                r#"<path class="stage" d="M{x:.1} 0V{SIZE}"><title>stage of {stage} % from {}</title></path>"#,
                time(*at)
            );
        }
    }
}

/// A chart with its title, its legend and both axes.
pub fn chart(title: &str, unit: Unit, axis: &Axis<'_>, lines: &[Line<'_>]) -> String {
    let scale = Scale::of(lines, unit);
    let mut out = format!(r#"<figure class="chart"><figcaption><b>{}</b>"#, escape(title));
    for Line { style, label, .. } in lines {
        let _ = write!(out, r#"<span class="key {style}">{}</span>"#, escape(label));
    }
    out.push_str(r#"</figcaption><div class="plot"><div class="values" aria-hidden="true">"#);
    for (y, label) in scale.ticks() {
        let _ = write!(out, r#"<span style="top:{y:.2}%">{label}</span>"#);
    }
    let _ = write!(
        out,
        r#"</div><svg role="img" aria-label="{}" viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none">"#,
        escape(title)
    );
    for (y, _) in scale.ticks() {
        let _ = write!(out, r#"<path class="grid" d="M0 {:.1}H{SIZE}"/>"#, y / 100.0 * SIZE);
    }
    axis.grid(&mut out);
    for Line { series, style, .. } in lines {
        let path = path(series.points(), axis, &scale);
        let _ = write!(out, r#"<path class="line {style}" d="{path}"/>"#);
    }
    out.push_str("</svg></div>");
    out.push_str(&axis.labels());
    out + "</figure>"
}

/// A point for each value; a gap where there is none.
fn path(points: &[Point], axis: &Axis<'_>, scale: &Scale) -> String {
    let mut path = String::new();
    let mut is_down = false;
    for (i, point) in points.iter().enumerate() {
        if point.low.is_nan() {
            is_down = false;
            continue;
        }
        let (x, low, high) = (axis.x(point.at), scale.y(point.low), scale.y(point.high));
        let _ = write!(path, "{}{x:.1} {low:.1}", if is_down { 'L' } else { 'M' });
        if (low - high).abs() > 0.05 {
            let _ = write!(path, "L{x:.1} {high:.1}");
        }
        // A value between two gaps is a dot.
        if !is_down && points.get(i + 1).is_none_or(|next| next.low.is_nan()) {
            path.push_str("h0.1");
        }
        is_down = true;
    }
    path
}

/// A lane of states: the worse, the higher.
pub fn lane<S>(states: &Lane<S>, axis: &Axis<'_>, name: impl Fn(&S) -> &str) -> String {
    let mut out = format!(r#"<svg viewBox="0 0 {SIZE} 24" preserveAspectRatio="none" aria-hidden="true">"#);
    for (i, (at, state)) in states.0.iter().enumerate() {
        let until = states.0.get(i + 1).map_or(axis.to, |next| next.0);
        let x = axis.x(*at);
        let (name, width) = (escape(&name(state).replace('_', " ")), (axis.x(until) - x).max(3.0));
        let (y, height) = match &*name {
            "fired" | "rollback" | "rolling back" | "escalated" => (0, 24),
            "borderline" | "pause" | "paused" | "disabled" | "recovering" => (4, 16),
            "collecting" | "no data" | "checking" | "moving" | "waiting" => (8, 8),
            _ => (10, 4),
        };
        let class = name.replace(' ', "-");
        let _ = write!(
            out,
            r#"<rect class="state {class}" x="{x:.1}" y="{y}" width="{width:.1}" height="{height}"><title>{name} from {} to {}</title></rect>"#,
            time(*at),
            time(until)
        );
    }
    out + "</svg>"
}
