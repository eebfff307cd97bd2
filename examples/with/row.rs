//! A row of README.md's table.

use std::time::Instant;

/// Runs a step, and keeps the least time in microseconds.
pub(crate) fn time<T>(least: &mut f64, step: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = step();
    *least = least.min(1e6 * begin.elapsed().as_secs_f64());
    result
}

/// Prints a row of that table, and counts the lines of glue, which stands in `source` after a line `// glue`.
pub(crate) fn print(framework: &str, trajectory: &str, [here, there]: [f64; 2], source: &str, copied: &str) {
    let glue = source.split("// glue\n").nth(1).unwrap_or_default().lines().map(str::trim);
    let lines = glue.filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    println!("| {framework} | {trajectory} | {here:.0} | {there:.0} | {lines} | {copied} |");
}
