//! The recorded vectors in tests/data.

use gradstep::Optimizer;

/// The rows of a file, which must be `count`: comments begin with #, and one line names the columns.
pub(crate) fn table(csv: &str, count: usize) -> impl Iterator<Item = Vec<&str>> {
    let mut rows = csv.lines().filter(|line| !line.starts_with('#')).map(|row| row.split(',').collect::<Vec<_>>());
    let columns = rows.next().unwrap().len();
    assert_eq!(rows.clone().count(), count);
    assert!(rows.clone().all(|row| row.len() == columns), "a row has not the {columns} columns of the header");
    rows
}

// Trajectories of `torch.optim.SGD` in float64, which tests/data/torch_optimizers.py records --------------------------------

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

/// How far the parameters are from the recorded ones, at most; NaN if any is.
pub(crate) fn farthest(mut optimizer: impl Optimizer<f64>, trajectory: &Trajectory) -> f64 {
    assert!(trajectory.steps.len() >= 50, "{} steps", trajectory.steps.len());
    let (mut params, mut farthest) = (trajectory.start.clone(), 0.0);
    for (learning_rate, grads, expected) in &trajectory.steps {
        optimizer.set_learning_rate(*learning_rate).unwrap();
        optimizer.step(&mut params, grads).unwrap();
        assert_eq!(params.len(), expected.len());
        for distance in params.iter().zip(expected).map(|(a, b)| (a - b).abs()) {
            farthest = if distance.is_nan() || distance > farthest { distance } else { farthest };
        }
    }
    farthest
}

/// To 1e-12.
pub(crate) fn follows(optimizer: impl Optimizer<f64>, trajectory: &Trajectory) {
    let farthest = farthest(optimizer, trajectory);
    assert!(farthest <= 1e-12, "{farthest:e}");
}

// The order, version 1, which tests/data/order.py made from the words of src/order/order.md --------------------------

pub(crate) struct Row {
    pub(crate) len: u64,
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    pub(crate) digest: u64,
    pub(crate) values: Vec<u64>,
}

pub(crate) fn rows(csv: &str, count: usize) -> impl Iterator<Item = Row> {
    table(csv, count).map(|row| {
        let [len, seed, epoch] = [0, 1, 2].map(|column| row[column].parse().unwrap());
        let digest = u64::from_str_radix(row[3], 16).unwrap();
        Row { len, seed, epoch, digest, values: row[4].split(' ').map(|value| value.parse().unwrap()).collect() }
    })
}

/// FNV-1a of 64 bits over each index as 8 little-endian bytes.
pub(crate) fn digest(indices: &[u64]) -> u64 {
    indices
        .iter()
        .flat_map(|index| index.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The last two columns of some files: the digest, and the first 40 with spaces between.
pub(crate) fn digest_and_first_40(indices: &[usize]) -> [String; 2] {
    let first: Vec<String> = indices.iter().take(40).map(usize::to_string).collect();
    let indices: Vec<u64> = indices.iter().map(|&index| index as u64).collect();
    [format!("{:016x}", digest(&indices)), first.join(" ")]
}
