//! The recorded vectors in tests/data.

use anyhow::Context;
use approx::assert_abs_diff_eq;
use gradstep::Optimizer;

// Trajectories of `torch.optim.SGD` in float64, which tests/data/torch_sgd.py records --------------------------------

pub(crate) struct Trajectory {
    pub(crate) momentum: f64,
    pub(crate) nesterov: bool,
    pub(crate) weight_decay: f64,
    pub(crate) start: Vec<f64>,
    /// Learning rate, gradient, and the parameters after the step.
    pub(crate) steps: Vec<(f64, Vec<f64>, Vec<f64>)>,
}

pub(crate) fn trajectory(text: &str) -> Trajectory {
    let setting = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let number = |name| setting(name).map_or(0.0, |value| value.parse().unwrap());
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let mut rows = rows.map(|row| row.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect::<Vec<f64>>());
    // step, learning_rate, grad0..grad4, param0..param4
    Trajectory {
        momentum: number("# momentum="),
        nesterov: setting("# nesterov=") == Some("True"),
        weight_decay: number("# weight_decay="),
        start: rows.next().unwrap()[7..].to_vec(),
        steps: rows.map(|row| (row[1], row[2..7].to_vec(), row[7..].to_vec())).collect(),
    }
}

/// To 1e-12.
pub(crate) fn follows(mut optimizer: impl Optimizer<f64>, trajectory: &Trajectory) {
    assert!(trajectory.steps.len() >= 50, "{} steps", trajectory.steps.len());
    let mut params = trajectory.start.clone();
    for (learning_rate, grads, expected) in &trajectory.steps {
        optimizer.set_learning_rate(*learning_rate).unwrap();
        optimizer.step(&mut params, grads).unwrap();
        assert_abs_diff_eq!(params[..], expected[..], epsilon = 1e-12);
    }
}

// The order, version 1, which tests/data/order.py made from the words of src/order/order.md --------------------------

pub(crate) struct Row {
    pub(crate) len: u64,
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    pub(crate) digest: u64,
    pub(crate) values: Vec<u64>,
}

pub(crate) fn rows(csv: &str) -> anyhow::Result<Vec<Row>> {
    let lines = csv.lines().filter(|line| !line.starts_with('#'));
    lines.skip(1).map(|line| row(line).with_context(|| format!("row {line}"))).collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let columns: Vec<_> = line.split(',').collect();
    let [len, seed, epoch, digest, values] = columns[..] else { anyhow::bail!("not five columns") };
    Ok(Row {
        len: len.parse()?,
        seed: seed.parse()?,
        epoch: epoch.parse()?,
        digest: u64::from_str_radix(digest, 16)?,
        values: values.split(' ').map(str::parse).collect::<Result<_, _>>()?,
    })
}

/// FNV-1a of 64 bits over each index as 8 little-endian bytes.
pub(crate) fn digest(indices: &[u64]) -> u64 {
    indices
        .iter()
        .flat_map(|index| index.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
