//! The learning curve as an SVG.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

/// What one epoch gave.
pub(crate) struct Point {
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
}

/// Training loss above, held-out accuracy below, over the epochs from 1.
pub(crate) fn learning_curve(path: &Path, title: &str, curve: &[Point]) -> Result<()> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (800, 640)).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.titled(title, ("sans-serif", 22))?.split_vertically(300);
        let losses: Vec<f64> = curve.iter().map(|point| point.loss).collect();
        let highest = losses.iter().fold(0.0_f64, |a, &b| a.max(b));
        panel(&upper, "training loss", 0.0..1.05 * highest.max(f64::MIN_POSITIVE), &losses, BLUE)?;
        let percents: Vec<f64> = curve.iter().map(|point| 100.0 * point.accuracy).collect();
        let lowest = percents.iter().fold(100.0_f64, |a, &b| a.min(b));
        // Down to a multiple of 5, so that the axis begins at a tick and the range is never empty.
        panel(&lower, "held-out accuracy, %", 5.0 * (lowest / 5.0 - 0.1).floor().max(0.0)..100.0, &percents, RED)?;
        root.present()?;
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    fs::write(path, svg).with_context(|| path.display().to_string())
}

fn panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    name: &str,
    range: std::ops::Range<f64>,
    values: &[f64],
    color: RGBColor,
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(25)
        .x_label_area_size(45)
        .y_label_area_size(70)
        .build_cartesian_2d(0..values.len(), range)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("epoch")
        .y_desc(name)
        .axis_desc_style(("sans-serif", 18))
        .label_style(("sans-serif", 15))
        .draw()?;
    // With a dot each: a single epoch would have no line.
    let points = (1..).zip(values.iter().copied());
    chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?;
    Ok(())
}
