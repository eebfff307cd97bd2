//! The curve that a ball rolls down: where does it stop?

/// A curve with a small minimum at 0, a rim at 1, a flat place at 3 (falling on both sides) and its lowest point at 5.
pub(crate) fn loss(x: f64) -> f64 {
    x * x * ((((x / 6.0 - 2.4) * x + 12.5) * x - 28.0) * x + 22.5) / 20.0
}

pub(crate) fn gradient(x: f64) -> f64 {
    x * (x - 1.0) * (x - 3.0) * (x - 3.0) * (x - 5.0) / 20.0
}

pub(crate) const START: f64 = -0.6;
pub(crate) const LEARNING_RATE: f64 = 0.05;

/// How a run from the start may end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum End {
    SmallMinimum,
    FlatPlace,
    Lowest,
    NoRest,
}

impl End {
    /// Near which place a run is at `x`, if it has come to rest: a step ago it was at `before`.
    pub(crate) fn of(x: f64, before: f64) -> Self {
        match x {
            _ if (x - before).abs() > 1e-3 => End::NoRest,
            _ if x < 1.0 => End::SmallMinimum,
            _ if x < 4.0 => End::FlatPlace,
            _ => End::Lowest,
        }
    }
}
