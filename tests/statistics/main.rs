//! Statistics that a bad shuffle and bad draws fail: [`orders`] and [`draws`] are fair, and what is bad on purpose is
//! caught.
//!
//! Each check gives a score, which for a fair source is close to a standard normal number: beyond ±5 it counts as
//! unfair. By chance, a check fails for one choice of its seed in 10^6, and for one in 10^5 if it counts rare events
//! (`fixed_points`), because the tail of such a score is somewhat heavier. With some 1,400 scores, the chance that any
//! fails is 1 in 500. It counts only once, since every seed is fixed.

mod draws;
mod orders;

/// Where chi-squared of that many degrees of freedom would be on the standard normal scale (Wilson and Hilferty 1931).
fn chi_squared_score(chi_squared: f64, degrees: usize) -> f64 {
    let spread = 2.0 / (9.0 * degrees as f64);
    ((chi_squared / degrees as f64).cbrt() - (1.0 - spread)) / spread.sqrt()
}

fn chi_squared(counts: impl IntoIterator<Item = (usize, f64)>) -> f64 {
    counts.into_iter().map(|(count, expected)| (count as f64 - expected).powi(2) / expected).sum()
}

/// Of counts that are all expected to be the same, `expected` each.
fn equal_counts(counts: Vec<usize>, expected: f64) -> f64 {
    let degrees = counts.len() - 1;
    chi_squared_score(chi_squared(counts.into_iter().map(|count| (count, expected))), degrees)
}

#[test]
fn scores_are_normal() {
    // From a table of chi-squared: 1 in 1,000 is above 29.588 (10 degrees) and 149.449 (100), as above 3.090 sigma.
    assert!((chi_squared_score(29.588, 10) - 3.090).abs() < 0.02);
    assert!((chi_squared_score(149.449, 100) - 3.090).abs() < 0.02);
}

/// Checks by name, with their scores.
type Scores = Vec<(String, f64)>;

fn fair(scores: Scores, what: &str) {
    for (check, score) in scores {
        assert!(score.abs() < 5.0, "{check} of {what}: score {score}");
    }
}

/// By one of the checks at least.
fn caught(scores: Scores, what: &str) {
    assert!(scores.iter().any(|(_, score)| score.abs() > 5.0), "{what} got through: {scores:?}");
}

fn one(check: &str, score: f64) -> Scores {
    vec![(check.into(), score)]
}
