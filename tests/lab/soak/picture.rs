//! The curve of a soak as a picture: one panel for each resource over the same time.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, ChartBuilder, Color as _, DrawingArea, IntoDrawingArea as _, LineSeries, RGBColor,
    Rectangle, SVGBackend, WHITE,
};

use super::samples::{Sample, p99};

const SIZE: (u32, u32) = (960, 1_000);
const LINE: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const FAULTY: RGBColor = RGBColor(0xfb, 0xe9, 0xe0);
const PAUSED: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

type Value = fn(&Sample) -> Option<f64>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The picture as SVG.
pub(crate) fn draw(samples: &[Sample]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let panels = area.split_evenly((5, 1));
        let curves: [(&str, Value); 4] = [
            ("resident memory, MiB", |sample| Some(sample.resident_kib as f64 / 1024.0)),
            ("open file descriptors", |sample| Some(sample.descriptors as f64)),
            ("tasks", |sample| Some(sample.own.as_ref()?.tasks)),
            ("history file with its log, MiB", |sample| Some(sample.history_kib as f64 / 1024.0)),
        ];
        for (panel, (title, value)) in panels.iter().zip(curves) {
            let points = samples.iter().map(|sample| (sample.seconds, value(sample)));
            curve(panel, title, samples, &known(points))?;
        }
        let pairs = samples.windows(2).filter_map(|pair| match pair {
            [before, now] => {
                let late = now.own.as_ref()?.late_since(before.own.as_ref()?);
                Some((now.seconds, Some(p99(&late).min(10.0) * 1_000.0)))
            }
            _ => None,
        });
        if let Some(panel) = panels.last() {
            let title = "99 of 100 starts were at most so late, ms (bound of the histogram)";
            curve(panel, title, samples, &known(pairs))?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn known(points: impl Iterator<Item = (f64, Option<f64>)>) -> Vec<(f64, f64)> {
    points.filter_map(|(seconds, value)| Some((seconds / 60.0, value?))).collect()
}

fn curve(panel: &Area<'_>, title: &str, samples: &[Sample], points: &[(f64, f64)]) -> Result<()> {
    let top = points.iter().map(|(_, value)| *value).fold(1.0, f64::max) * 1.15;
    let end = samples.last().map_or(1.0, |sample| sample.seconds / 60.0).max(0.1);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, ("sans-serif", 15))
        .margin(6)
        .x_label_area_size(24)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    for (color, is) in [
        (FAULTY, (|sample: &Sample| sample.now.faulty) as fn(&Sample) -> bool),
        (PAUSED, |sample| sample.now.paused),
    ] {
        let bands = bands(samples, is);
        let shapes = bands
            .into_iter()
            .map(|time| Rectangle::new([(time.start, 0.0), (time.end, top)], color.filled()));
        chart.draw_series(shapes)?;
    }
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("minutes")
        .axis_style(BLACK)
        .x_labels(13)
        .y_labels(5)
        .draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), LINE))?;
    Ok(())
}

/// Spans of time, in minutes, in which something held from sample to sample.
fn bands(samples: &[Sample], is: fn(&Sample) -> bool) -> Vec<Range<f64>> {
    let mut bands: Vec<Range<f64>> = Vec::new();
    for pair in samples.windows(2) {
        let [from, to] = pair else { continue };
        if is(from) {
            let (start, end) = (from.seconds / 60.0, to.seconds / 60.0);
            match bands.last_mut() {
                Some(band) if (band.end - start).abs() < f64::EPSILON => band.end = end,
                _ => bands.push(start..end),
            }
        }
    }
    bands
}
