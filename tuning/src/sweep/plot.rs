//! The sweep as a picture: a row for each setting, three columns of figures, in SVG.
//!
//! Bars are medians and the dots on them the single runs, so that the noise is seen with the
//! difference it may hide. A dashed line marks what is enough, and the recommended row is darker.
//! Latencies stand on a logarithmic axis, for the tail is far from the middle. The text is written
//! by hand rather than by a plotting library: it is a few rectangles.

use std::fmt::Write;

use super::choose::{By, Choice};
use super::{Sample, Series};

const ROW: f64 = 34.0;
const TOP: f64 = 74.0;
const LABELS: f64 = 190.0;
const PANEL: f64 = 240.0;
const GAP: f64 = 76.0;
const WIDTH: f64 = LABELS + 3.0 * PANEL + 3.0 * GAP;

const PLAIN: &str = "#9db8d2";
const CHOSEN: &str = "#2f6ea5";
const INK: &str = "#26323d";
const FAINT: &str = "#8a949d";
const TAILS: [(&str, &str); 3] = [("p50", "#58a55c"), ("p99", "#e0a021"), ("p99.9", "#c8452d")];

/// Draws the sweep; `title` says under which load.
#[must_use]
pub fn svg(series: &[Series], choice: &Choice, title: &str) -> String {
    let height = TOP + ROW * series.len() as f64 + 64.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"{INK}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    text(&mut svg, 16.0, 26.0, "start", &format!("font-size=\"15\">{}", escape(title)));
    for (row, one) in series.iter().enumerate() {
        let weight = if choice.recommended() == Some(row) { "bold" } else { "normal" };
        let label = format!("font-weight=\"{weight}\">{}", escape(&one.setting.label()));
        text(&mut svg, LABELS - 12.0, middle(row) + 4.0, "end", &label);
    }
    if choice.by == By::Rate {
        enough(&mut svg, series, choice);
    }
    bars(&mut svg, panel(0), "requests a second", series, choice, |sample| sample.rate);
    bars(&mut svg, panel(1), "server CPU, us a request", series, choice, |sample| sample.cpu_us);
    tails(&mut svg, panel(2), series);
    let verdict = choice.text(series);
    let verdict = verdict.lines().next().unwrap_or_default();
    let bottom = format!("fill=\"{FAINT}\">{}", escape(verdict));
    text(&mut svg, 16.0, height - 16.0, "start", &bottom);
    svg + "</svg>\n"
}

fn panel(index: u8) -> f64 {
    LABELS + f64::from(index) * (PANEL + GAP)
}

fn middle(row: usize) -> f64 {
    TOP + ROW * (row as f64 + 0.5)
}

/// `rest` is the remaining attributes, the closing angle and the text.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, rest: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {rest}</text>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn bars(
    svg: &mut String,
    left: f64,
    title: &str,
    series: &[Series],
    choice: &Choice,
    of: fn(&Sample) -> f64,
) {
    text(svg, left, TOP - 14.0, "start", &format!("fill=\"{FAINT}\">{title}"));
    let scale = PANEL / highest(series, of);
    for (row, one) in series.iter().enumerate() {
        let (y, median) = (middle(row), one.median(of));
        if !median.is_finite() {
            text(svg, left, y + 4.0, "start", &format!("fill=\"{FAINT}\">not known"));
            continue;
        }
        let colour = if choice.recommended() == Some(row) { CHOSEN } else { PLAIN };
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" fill=\"{colour}\"/>",
            y - 9.0,
            median * scale
        );
        for value in one.samples.iter().map(of) {
            dot(svg, left + value * scale, y, 2.0, INK);
        }
        let end = left + one.range(of).1.max(median) * scale + 6.0;
        // The halo keeps the number legible where the line of what is enough crosses it.
        let halo = "stroke=\"white\" stroke-width=\"4\" paint-order=\"stroke\"";
        text(svg, end, y + 4.0, "start", &format!("{halo}>{}", short(median)));
    }
}

fn highest(series: &[Series], of: fn(&Sample) -> f64) -> f64 {
    let all = series.iter().map(|series| series.range(of).1);
    all.filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max)
}

fn dot(svg: &mut String, x: f64, y: f64, radius: f64, colour: &str) {
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" opacity=\"0.8\"/>"
    );
}

/// A number with three figures that matter.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.0} k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The line at which a rate is enough.
fn enough(svg: &mut String, series: &[Series], choice: &Choice) {
    let rate = |sample: &Sample| sample.rate;
    let enough = series[choice.best].median(rate) * (1.0 - choice.tolerance);
    let x = panel(0) + enough * PANEL / highest(series, rate);
    let bottom = TOP + ROW * series.len() as f64;
    let _ = writeln!(
        svg,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\" stroke=\"{INK}\" \
         stroke-dasharray=\"4 3\"/>"
    );
}

/// Three percentiles on one logarithmic axis, in decades.
fn tails(svg: &mut String, left: f64, series: &[Series]) {
    let figures: [fn(&Sample) -> f64; 3] =
        [|sample| sample.p50_us, |sample| sample.p99_us, |sample| sample.p99_9_us];
    let all = || series.iter().flat_map(|one| figures.iter().map(|&of| one.median(of)));
    let low = all().fold(f64::INFINITY, f64::min).max(1.0) / 1.2;
    let high = all().fold(low * 2.0, f64::max) * 1.2;
    let place = |us: f64| left + (us.max(low) / low).ln() / (high / low).ln() * PANEL;
    let bottom = TOP + ROW * series.len() as f64;
    text(svg, left, TOP - 14.0, "start", &format!("fill=\"{FAINT}\">response, us:"));
    for (index, (name, colour)) in TAILS.into_iter().enumerate() {
        let x = left + 90.0 + 50.0 * index as f64;
        dot(svg, x, TOP - 18.0, 4.0, colour);
        text(svg, x + 7.0, TOP - 14.0, "start", &format!(">{name}"));
    }
    for us in ticks(low, high) {
        let x = place(us);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\" stroke=\"#e3e7ea\"/>"
        );
        let shown = if us < 1e4 { us.to_string() } else { format!("{} k", us / 1e3) };
        let label = format!("fill=\"{FAINT}\">{shown}");
        text(svg, x, bottom + 16.0, "middle", &label);
    }
    for (row, one) in series.iter().enumerate() {
        for (of, (_, colour)) in figures.iter().zip(TAILS) {
            dot(svg, place(one.median(of)), middle(row), 5.0, colour);
        }
    }
}

/// Round numbers within the axis: every decade's 1, and its 2 and 5 where there is room.
fn ticks(low: f64, high: f64) -> impl Iterator<Item = f64> {
    let steps: &[f64] = if high / low < 60.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
    let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
    all.filter(move |us| (low..=high).contains(us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Setting, choose};

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(70.0, 900.0).collect::<Vec<_>>(), [100.0, 200.0, 500.0]);
        assert_eq!(ticks(7.0, 90_000.0).collect::<Vec<_>>(), [10.0, 100.0, 1000.0, 10_000.0]);
    }

    #[test]
    fn a_drawing_has_every_setting_and_no_broken_number() {
        let sample = Sample { rate: 5e4, cpu_us: f64::NAN, p50_us: 90.0, ..Sample::default() };
        let of = |threads| Series {
            setting: Setting { threads, large_pages: false, extra: vec!["-I <&>".into()] },
            samples: vec![sample.clone(); 3],
        };
        let series = [of(1), of(2)];
        let svg = svg(&series, &choose::choose(&series, By::Rate, 0.05), "a < b");
        assert!(svg.contains("-t 1 -I &lt;&amp;&gt;") && svg.contains("-t 2 -I"));
        assert!(svg.contains("a &lt; b") && svg.contains("not known"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
