//! Figures as SVG files, legible at the width of a README.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::chart::{ChartContext, SeriesAnno};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Chart<'a, X, Y> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>;

/// Orange, blue, green: colour-blind readers can tell them apart too (Okabe and Ito 2008).
pub(crate) const COLORS: [RGBColor; 3] = [RGBColor(213, 94, 0), RGBColor(0, 114, 178), RGBColor(0, 158, 115)];

/// Writes to `path` what `draw` draws on a white sheet of `size` pixels.
pub(crate) fn svg(path: &Path, size: (u32, u32), draw: impl FnOnce(&Area) -> Result<()>) -> Result<()> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root)?;
        root.present()?;
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    fs::write(path, svg).with_context(|| path.display().to_string())
}

/// Draws two axes, each with a name and a range (`0.0..1.0`, or `(0.1..100.0).log_scale()`).
pub(crate) fn axes<'a, X, Y>(
    area: &Area<'a>,
    title: &str,
    (x_name, x): (&str, X),
    (y_name, y): (&str, Y),
) -> Result<Chart<'a, X::CoordDescType, Y::CoordDescType>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(8)
        .margin_right(20)
        .x_label_area_size(45)
        .y_label_area_size(75)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .x_labels(13)
        .y_labels(12)
        .axis_desc_style(("sans-serif", 17))
        .label_style(("sans-serif", 15))
        .draw()?;
    Ok(chart)
}

/// A short number: 0.25, 16384, 1e-6.
fn number(value: &f64) -> String {
    if value.abs() < 1e-15 {
        "0".to_string() // a rounding error of the ticks
    } else if (0.01..100_000.0).contains(&value.abs()) {
        let digits = format!("{value:.3}");
        digits.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{value:.0e}")
    }
}

/// Gives a series a name and a colour in the legend.
pub(crate) fn label(series: &mut SeriesAnno<'_, SVGBackend<'_>>, name: &str, color: impl Color) {
    let color = color.to_rgba().filled();
    series.label(name).legend(move |(x, y)| Rectangle::new([(x, y - 3), (x + 18, y + 3)], color));
}

/// Draws the legend. Call it last.
pub(crate) fn legend<'a, X: Ranged, Y: Ranged>(
    chart: &mut Chart<'a, X, Y>,
    position: SeriesLabelPosition,
) -> Result<()> {
    chart
        .configure_series_labels()
        .position(position)
        .margin(8)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}
