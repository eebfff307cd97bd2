//! The learning curve, and charts of several lines with their spread, as SVGs.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use plotters::chart::SeriesLabelPosition;
use plotters::prelude::*;

use super::figure::{self, Area};

/// What one epoch gave.
pub(crate) struct Point {
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
}

/// Training loss above, held-out accuracy below, over the epochs from 1.
pub(crate) fn learning_curve(path: &Path, title: &str, curve: &[Point]) -> Result<()> {
    figure::write(path, (800, 640), |root| {
        let (upper, lower) = root.titled(title, ("sans-serif", 22))?.split_vertically(300);
        let losses: Vec<f64> = curve.iter().map(|point| point.loss).collect();
        let highest = losses.iter().fold(0.0_f64, |a, &b| a.max(b));
        panel(&upper, "training loss", 0.0..1.05 * highest.max(f64::MIN_POSITIVE), &losses, BLUE)?;
        let percents: Vec<f64> = curve.iter().map(|point| 100.0 * point.accuracy).collect();
        let lowest = percents.iter().fold(100.0_f64, |a, &b| a.min(b));
        // Down to a multiple of 5, so that the axis begins at a tick and the range is never empty.
        panel(&lower, "held-out accuracy, %", 5.0 * (lowest / 5.0 - 0.1).floor().max(0.0)..100.0, &percents, RED)?;
        Ok(())
    })
}

/// One line of a chart: x, and of the values there the least, the middle one and the largest.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) color: RGBColor,
    pub(crate) points: Vec<(f64, [f64; 3])>,
}

/// A chart's axis with its unit. With a `base` it is logarithmic, with a tick at every power of it.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) range: Range<f64>,
    pub(crate) base: Option<f64>,
}

impl Axis {
    /// Where a value lies; one beyond the range, at its end.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.range.start, self.range.end);
        self.base.map_or(value, |base| value.log(base))
    }

    fn places(&self) -> Range<f64> {
        self.place(self.range.start)..self.place(self.range.end)
    }

    /// Ticks, but no more than there are powers.
    fn ticks(&self) -> usize {
        let places = self.places();
        self.base.map_or(11, |_| (places.end - places.start) as usize + 1)
    }

    /// A tick's label, with the zeros that rounding left behind taken off.
    fn label(&self, place: f64) -> String {
        let value = self.base.map_or(place, |base| base.powf(place));
        let label = format!("{value:.4}");
        label.trim_end_matches('0').trim_end_matches('.').to_string()
    }
}

/// Lines with a dot at each middle value and a bar from the least to the largest. A NaN interrupts a line.
pub(crate) fn lines(
    path: &Path,
    title: &str,
    [x, y]: [&Axis; 2],
    legend: SeriesLabelPosition,
    lines: &[Line],
) -> Result<()> {
    figure::write(path, (800, 480), |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(title, ("sans-serif", 22))
            .margin(10)
            .margin_right(30)
            .x_label_area_size(50)
            .y_label_area_size(85)
            .build_cartesian_2d(x.places(), y.places())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(x.ticks())
            .y_labels(y.ticks())
            .x_desc(x.name)
            .y_desc(y.name)
            .x_label_formatter(&|place| x.label(*place))
            .y_label_formatter(&|place| y.label(*place))
            .axis_desc_style(("sans-serif", 18))
            .label_style(("sans-serif", 15))
            .draw()?;
        for line in lines {
            for part in line.points.split(|(_, values)| values.iter().any(|value| value.is_nan())) {
                let at = |(at, values): &(f64, [f64; 3]), which: usize| (x.place(*at), y.place(values[which]));
                let middle = part.iter().map(|point| at(point, 1));
                chart.draw_series(LineSeries::new(middle, line.color.stroke_width(2)).point_size(3))?;
                let bars = part.iter().map(|point| PathElement::new([at(point, 0), at(point, 2)], line.color));
                chart.draw_series(bars)?;
            }
            // Drawn as nothing, for its name in the legend.
            let color = line.color.stroke_width(3);
            let none = std::iter::empty::<(f64, f64)>();
            chart
                .draw_series(LineSeries::new(none, color))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
        }
        chart
            .configure_series_labels()
            .position(legend)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 16))
            .draw()?;
        Ok(())
    })
}

fn panel(area: &Area, name: &str, range: Range<f64>, values: &[f64], color: RGBColor) -> Result<()> {
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
