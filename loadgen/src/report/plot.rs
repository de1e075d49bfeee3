//! Pictures: latency by percentile, latency and rate over time, rate against tails for sweeps and
//! searches.
//!
//! Everything is drawn as SVG; a PNG is that SVG rendered with the fonts of the host.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::files;
use crate::experiment::search::Probe;
use crate::measure::series::Row;
use crate::measure::tally::Latencies;

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 380;
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(23, 190, 207),
];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A line of a panel.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
    /// Join the points.
    joined: bool,
    /// Mark each point.
    marked: bool,
}

/// Draws a run.
pub fn run(path: &Path, latencies: &Latencies, rows: &[Row]) -> Result<(), String> {
    draw(path, 3, |panels| {
        by_percentile(&panels[0], latencies)?;
        over_time(&panels[1], rows)?;
        rate_over_time(&panels[2], rows)
    })
}

/// Draws what a search tried: which rates held its condition and which did not.
pub fn probes(
    path: &Path,
    condition: &str,
    limit: Duration,
    probes: &[Probe],
) -> Result<(), String> {
    draw(path, 1, |panels| {
        let rate_max = probes.iter().map(|probe| probe.rate_achieved).fold(1.0, f64::max) * 1.05;
        let some = |name: &str, holds: bool| Line {
            name: name.into(),
            points: probes
                .iter()
                .filter(|probe| probe.holds == holds)
                .map(|probe| (probe.rate_achieved, probe.value_us))
                .collect(),
            joined: false,
            marked: true,
        };
        let limit_us = limit.as_secs_f64() * 1e6;
        let limit = Line {
            name: condition.into(),
            points: vec![(0.0, limit_us), (rate_max, limit_us)],
            joined: true,
            marked: false,
        };
        let lines = [some("holds", true), some("fails", false), limit];
        let (title, range) = ("Rates tried", 0.0..rate_max);
        panel(&panels[0], title, "requests/s", "us", &lines, range, true, &plain)
    })
}

/// A measurement of a sweep: a rate and what it cost.
#[derive(Clone, Debug)]
pub struct Point {
    /// What was varied, as shown on the axis.
    pub label: String,
    /// Requests a second delivered.
    pub rate: f64,
    /// Latencies in microseconds by name.
    pub latencies_us: Vec<(&'static str, f64)>,
}

/// Draws rate against latency, and both by what was varied.
pub fn points(path: &Path, varied: &str, points: &[Point]) -> Result<(), String> {
    draw(path, 2, |panels| {
        rate_against_latency(&panels[0], points)?;
        by_value(&panels[1], varied, points)
    })
}

fn draw(
    path: &Path,
    panels: u32,
    content: impl FnOnce(&[Canvas<'_>]) -> Drawn,
) -> Result<(), String> {
    let mut svg = String::new();
    {
        let size = (WIDTH, PANEL_HEIGHT * panels);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = root
            .fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| content(&root.split_evenly((panels as usize, 1))))
            .and_then(|()| root.present().map_err(Into::into));
        drawn.map_err(|error| format!("cannot draw {}: {error}", path.display()))?;
    }
    check_name(path)?;
    if has_extension(path, "png") {
        files::write(path, &png(&svg)?)
    } else {
        files::write(path, svg.as_bytes())
    }
}

/// Tells whether a file's name names a form that can be drawn.
pub fn check_name(path: &Path) -> Result<(), String> {
    if has_extension(path, "svg") || has_extension(path, "png") {
        return Ok(());
    }
    Err(format!("--plot {}: the name must end in .svg or .png", path.display()))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// Fonts to write with, the best first.
const SANS_SERIF: [&str; 5] =
    ["DejaVu Sans", "Liberation Sans", "Noto Sans", "Open Sans", "FreeSans"];

/// Renders at twice the size, which makes text on common screens legible.
fn png(svg: &str) -> Result<Vec<u8>, String> {
    use resvg::{tiny_skia, usvg};
    let mut options =
        usvg::Options { font_family: "sans-serif".into(), ..usvg::Options::default() };
    let fonts = options.fontdb_mut();
    fonts.load_system_fonts();
    // The library takes "sans-serif" for Arial, which few hosts have.
    let families: Vec<_> = fonts.faces().filter_map(|face| face.families.first()).collect();
    let has = |name: &&str| families.iter().any(|family| family.0 == *name);
    let known = SANS_SERIF.into_iter().find(has).map(str::to_owned);
    if let Some(family) = known.or_else(|| families.first().map(|family| family.0.clone())) {
        fonts.set_sans_serif_family(family);
    }
    if options.fontdb.is_empty() {
        return Err("a PNG needs fonts and this host has none: use --plot FILE.svg".into());
    }
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size();
    let mut pixels =
        tiny_skia::Pixmap::new(size.width() * 2, size.height() * 2).ok_or("no memory")?;
    let twice = tiny_skia::Transform::from_scale(2.0, 2.0);
    resvg::render(&tree, twice, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

/// Response and service time by percentile; every nine takes the same width.
fn by_percentile(area: &Canvas<'_>, latencies: &Latencies) -> Drawn {
    let curve = |name: &str, histogram: &Histogram<u64>| {
        let at = |step: i32| {
            let nines = f64::from(step) / 40.0;
            let quantile = 1.0 - 10f64.powf(-nines);
            (nines, histogram.value_at_quantile(quantile) as f64 / 1000.0)
        };
        // Beyond the last request there is nothing to show.
        let nines_known = (histogram.len().max(1) as f64).log10();
        let steps = (nines_known.min(6.0) * 40.0).ceil() as i32;
        let points = (0..=steps).map(at).collect();
        Line { name: name.into(), points, joined: true, marked: false }
    };
    let (response, service) = (&latencies.response, &latencies.service);
    // In a closed loop a request is due when it is sent.
    let lines = if response == service {
        vec![curve("response and service time", response)]
    } else {
        vec![curve("response time", response), curve("service time", service)]
    };
    let nines = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(1.0, f64::max);
    let label = |nines: &f64| match nines.round() as i32 {
        0 => "0 %".into(),
        1 => "90 %".into(),
        digits => {
            format!("99{}{} %", if digits > 2 { "." } else { "" }, "9".repeat(digits as usize - 2))
        }
    };
    panel(area, "Latency by percentile", "percentile", "us", &lines, 0.0..nines, true, &label)
}

fn over_time(area: &Canvas<'_>, rows: &[Row]) -> Drawn {
    let line = |name: &str, value: fn(&Row) -> f64| Line {
        name: name.into(),
        points: rows.iter().map(|row| (row.at_s, value(row))).collect(),
        joined: true,
        marked: rows.len() < 40,
    };
    let lines = [
        line("p50", |row| row.p50_us),
        line("p99", |row| row.p99_us),
        line("p99.9", |row| row.p99_9_us),
        line("max", |row| row.max_us),
    ];
    panel(area, "Response time over time", "s", "us", &lines, time_range(rows), true, &plain)
}

fn rate_over_time(area: &Canvas<'_>, rows: &[Row]) -> Drawn {
    let points = rows.iter().map(|row| (row.at_s, row.rate())).collect();
    let name = "requests/s".into();
    let lines = [Line { name, points, joined: true, marked: rows.len() < 40 }];
    panel(area, "Rate over time", "s", "requests/s", &lines, time_range(rows), false, &plain)
}

fn time_range(rows: &[Row]) -> Range<f64> {
    0.0..rows.last().map_or(1.0, |row| row.at_s.max(0.001))
}

fn rate_against_latency(area: &Canvas<'_>, points: &[Point]) -> Drawn {
    let lines = latency_lines(points, |_, point| point.rate);
    let rate_max = points.iter().map(|point| point.rate).fold(1.0, f64::max);
    let title = "Response time against rate";
    panel(area, title, "requests/s", "us", &lines, 0.0..rate_max * 1.05, true, &plain)
}

fn by_value(area: &Canvas<'_>, varied: &str, points: &[Point]) -> Drawn {
    let rates =
        points.iter().enumerate().map(|(index, point)| (index as f64, point.rate)).collect();
    let lines = [Line { name: "requests/s".into(), points: rates, joined: true, marked: true }];
    let label = |at: &f64| {
        let whole = (at - at.round()).abs() < 1e-6;
        let point = points.get(at.round() as usize).filter(|_| whole);
        point.map_or_else(String::new, |point| point.label.clone())
    };
    let range = -0.2..points.len() as f64 - 0.8;
    panel(area, &format!("Rate by {varied}"), varied, "requests/s", &lines, range, false, &label)
}

fn latency_lines(points: &[Point], x: impl Fn(usize, &Point) -> f64) -> Vec<Line> {
    let names = points.first().map(|point| point.latencies_us.iter().map(|(name, _)| *name));
    let line = |(which, name): (usize, &'static str)| {
        let at = |(index, point): (usize, &Point)| (x(index, point), point.latencies_us[which].1);
        // In the order of what was varied: past saturation a curve may bend back.
        let points = points.iter().enumerate().map(at).collect();
        Line { name: name.to_owned(), points, joined: true, marked: true }
    };
    names.into_iter().flatten().enumerate().map(line).collect()
}

fn plain(value: &f64) -> String {
    match value.abs() {
        v if v >= 1e6 => {
            let millions = format!("{:.2}", value / 1e6);
            format!("{}M", millions.trim_end_matches('0').trim_end_matches('.'))
        }
        v if v >= 1e4 => format!("{:.0}k", value / 1e3),
        v if v >= 10.0 || v == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

/// One set of axes with lines. Latencies, which span decades, get a logarithmic axis.
#[allow(clippy::too_many_arguments)]
fn panel(
    area: &Canvas<'_>,
    title: &str,
    x_name: &str,
    y_name: &str,
    lines: &[Line],
    x_range: Range<f64>,
    logarithmic: bool,
    x_label: &dyn Fn(&f64) -> String,
) -> Drawn {
    let values = || lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let high = values().fold(0.0, f64::max).max(1.0);
    let low = values().filter(|value| *value > 0.0).fold(high, f64::min);
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(title, ("sans-serif", 20))
        .margin(12)
        // The last label of the axis ends beyond it.
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(76);
    if logarithmic {
        // Room above the curves is for the legend.
        let range = (low * 0.8..high * 4.0).log_scale();
        axes(builder.build_cartesian_2d(x_range, range)?, x_name, y_name, lines, x_label)
    } else {
        axes(builder.build_cartesian_2d(x_range, 0.0..high * 1.35)?, x_name, y_name, lines, x_label)
    }
}

fn axes<'a, Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>>(
    mut chart: ChartContext<
        'a,
        SVGBackend<'a>,
        Cartesian2d<plotters::coord::types::RangedCoordf64, Y>,
    >,
    x_name: &str,
    y_name: &str,
    lines: &[Line],
    x_label: &dyn Fn(&f64) -> String,
) -> Drawn {
    chart
        .configure_mesh()
        .x_desc(x_name)
        .y_desc(y_name)
        .x_labels(8)
        .y_labels(8)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(RGBColor(244, 244, 244))
        .bold_line_style(RGBColor(222, 222, 222))
        .x_label_formatter(x_label)
        .y_label_formatter(&|value| plain(value))
        .draw()?;
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let joined = line.points.iter().copied().filter(|_| line.joined);
        let series = LineSeries::new(joined, colour.stroke_width(2));
        chart.draw_series(series)?.label(line.name.clone()).legend(move |(x, y)| {
            PathElement::new(vec![(x, y), (x + 22, y)], colour.stroke_width(2))
        });
        if line.marked {
            let mark = |point: &(f64, f64)| Circle::new(*point, 3, colour.filled());
            chart.draw_series(line.points.iter().map(mark))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}
