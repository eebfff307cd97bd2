//! Double-double arithmetic: a number is the unevaluated sum of two f64, high + low, and has some 106 bits. Only +, −,
//! ×, ÷ and square roots are used, since these are rounded in the same way on every machine.

use num_traits::Float;

pub(crate) type Double = (f64, f64);

/// base^exponent for a base from 0 to 1 and an exponent above 0, accurate to the last bit or two of an f64.
pub(crate) fn power(base: Double, exponent: f64) -> Double {
    if base.0 == 0.0 {
        return (0.0, 0.0);
    }
    let whole = whole_power(base, exponent as u64);
    // The fraction as a share of 2^64: exact, unless the exponent is below 2^-12.
    let share = (exponent.fract() * 18_446_744_073_709_551_616.0) as u64;
    if share == 0 { whole } else { product(whole, geometric_mean((1.0, 0.0), base, share)) }
}

/// base^exponent by repeated squaring. Each squaring doubles the relative error, so plain f64 would be off by a
/// relative 10^-4 at exponents of 10^12.
pub(crate) fn whole_power(base: Double, mut exponent: u64) -> Double {
    let (mut power, mut square) = ((1.0, 0.0), base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = product(power, square);
        }
        square = product(square, square);
        exponent >>= 1;
    }
    power
}

/// from^(1 - t) · to^t for t = share / 2^64, by one square root per bit of the share, from the lowest bit to the
/// highest: if x is from^(1 - u) · to^u, then √(x · from) has u / 2 in place of u, and √(x · to) has u / 2 + 1 / 2.
/// Each root halves the relative error.
pub(crate) fn geometric_mean(from: Double, to: Double, share: u64) -> Double {
    let bits = (share.trailing_zeros()..64).map(|bit| share >> bit & 1);
    bits.fold(from, |mean, bit| root(product(mean, if bit == 1 { to } else { from })))
}

/// a / b: `low` is what `high · b` leaves of a, divided by b.
pub(crate) fn quotient(a: Double, b: Double) -> Double {
    let high = a.0 / b.0;
    let taken = product((high, 0.0), b);
    let low = ((a.0 - taken.0) + (a.1 - taken.1)) / b.0;
    (high + low, low - ((high + low) - high))
}

/// √a: `low` is what `high²` leaves of a, divided by the slope 2 · high of the square.
pub(crate) fn root(a: Double) -> Double {
    let high = Float::sqrt(a.0);
    let taken = product((high, 0.0), (high, 0.0));
    let low = ((a.0 - taken.0) + (a.1 - taken.1)) / (2.0 * high);
    (high + low, low - ((high + low) - high))
}

/// The count without rounding, for counts below 2^106.
pub(crate) fn exact(count: u128) -> Double {
    let high = count as f64;
    (high, (count as i128 - high as i128) as f64)
}

/// a + b without rounding (Knuth 1969).
pub(crate) fn sum(a: f64, b: f64) -> Double {
    let high = a + b;
    let taken = high - a;
    (high, (a - (high - taken)) + (b - taken))
}

/// a · b. The high parts are cut into halves of 26 bits, whose products are exact (Dekker 1971).
pub(crate) fn product((a, a_low): Double, (b, b_low): Double) -> Double {
    let halves = |x: f64| {
        let high = x * 134_217_729.0; // 2^27 + 1
        let high = high - (high - x);
        (high, x - high)
    };
    let ((a1, a2), (b1, b2)) = (halves(a), halves(b));
    let high = a * b;
    let low = ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2 + (a * b_low + a_low * b);
    (high + low, low - ((high + low) - high))
}
