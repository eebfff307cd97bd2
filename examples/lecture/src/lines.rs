//! Charts of values that several seeds spread.

use std::ops::Range;

use anyhow::Result;
use plotters::prelude::*;

use crate::common::plot::{self, Chart};

/// At each x the least, the middle and the largest value. A NaN interrupts the line.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) color: RGBAColor,
    pub(crate) points: Vec<(f64, [f64; 3])>,
}

/// The least, the middle and the largest of `values`; NaN if one of them is NaN.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values = Vec::from_iter(values);
    values.sort_by(f64::total_cmp); // NaN last
    let most = values[values.len() - 1];
    if most.is_nan() { [most; 3] } else { [values[0], values[values.len() / 2], most] }
}

/// Draws each line with a dot at each middle value and a bar from the least to the largest, within `range`.
pub(crate) fn draw<X, Y>(
    chart: &mut Chart<'_, X, Y>,
    range: Range<f64>,
    lines: impl IntoIterator<Item = Line>,
) -> Result<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let inside = |value: f64| value.clamp(range.start, range.end);
    for Line { name, color, points } in lines {
        for part in points.split(|(_, values)| values[0].is_nan()) {
            let middle = part.iter().map(|&(x, [_, middle, _])| (x, inside(middle)));
            chart.draw_series(LineSeries::new(middle, color.stroke_width(2)).point_size(3))?;
        }
        let bars = points
            .iter()
            .filter(|(_, values)| !values[0].is_nan())
            .map(|&(x, [least, _, most])| PathElement::new([(x, inside(least)), (x, inside(most))], color));
        plot::label(chart.draw_series(bars)?, &name, color);
    }
    Ok(())
}
