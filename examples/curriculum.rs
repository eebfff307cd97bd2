//! An order of your own: a curriculum that shows easy digits first, and mixes in more of the hard
//! ones each epoch.
//!
//! ```sh
//! cargo run --release --example curriculum
//! ```
//!
//! A sample is as hard as its loss is after a first epoch of plain training. The example then
//! trains twice from the same weights, with the curriculum and with a plain shuffle, and chooses
//! nothing on the held-out digits. Expect no gain: Wu, Dyer and Neyshabur (2021, "When Do Curricula
//! Work?") found none either, for usual training times.

mod common;

use std::ops::Range;

use anyhow::Result;
use common::{data, network::Network};
use gradstep::{Batcher, Fill, Momentum, Optimizer, Order, Shuffle, stable_hash};

/// Epoch e has 16 / 2^e levels of difficulty, one after the other, each of them shuffled. From
/// epoch 4 on there is one level: a plain shuffle.
struct Curriculum {
    shuffle: Shuffle,
    /// The rank of each sample, from easy to hard.
    ranks: Vec<usize>,
}

impl Curriculum {
    /// The larger the loss of a sample, the harder it is.
    fn new(losses: &[f64], seed: u64) -> Result<Self> {
        let mut easy_to_hard: Vec<usize> = (0..losses.len()).collect();
        easy_to_hard.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
        let mut ranks = vec![0; losses.len()];
        easy_to_hard.into_iter().enumerate().for_each(|(rank, sample)| ranks[sample] = rank);
        Ok(Curriculum { shuffle: Shuffle::new(losses.len(), seed)?, ranks })
    }
}

impl Order for Curriculum {
    fn len(&self) -> u64 {
        self.shuffle.len()
    }

    /// These include a hash of the ranks, so that a run with another curriculum is not resumed.
    fn settings(&self) -> Vec<(&'static str, u64)> {
        let ranks = self.ranks.iter().flat_map(|&rank| (rank as u64).to_le_bytes());
        let hash = stable_hash(&Vec::from_iter(ranks));
        [vec![("curriculum", 1), ("hash of the ranks", hash)], self.shuffle.settings()].concat()
    }

    /// As for the shuffle: the whole epoch at once.
    fn run(&self, epoch: u64, place: u64) -> Range<u64> {
        self.shuffle.run(epoch, place)
    }

    fn longest_run(&self) -> u64 {
        self.shuffle.longest_run()
    }

    fn scratch_len(&self) -> usize {
        self.shuffle.scratch_len()
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        self.shuffle.fill(fill);
        let levels = 16 >> fill.epoch.min(4);
        // A stable sort: within a level the samples stay shuffled.
        fill.out.sort_by_key(|&sample| self.ranks[sample] * levels / self.ranks.len());
    }
}

const SEED: u64 = 0;
const NETWORK: Network = Network { inputs: 64, hidden: 64, classes: 10 };

fn main() -> Result<()> {
    let data = data::digits()?;
    let shuffle = Shuffle::new(data.train.len(), SEED)?;

    let mut params = NETWORK.initial(SEED);
    train(&mut params, &data, &shuffle, 1)?;
    let mut grads = vec![0.0; params.len()];
    let mut loss = |sample| NETWORK.loss_and_gradient(&params, &data.train, &[sample], &mut grads);
    let losses: Vec<f64> = (0..data.train.len()).map(&mut loss).collect();

    // With the seed of `shuffle`, so that the two runs differ only in the levels.
    let curriculum = Curriculum::new(&losses, SEED)?;
    for (name, order) in [("from easy to hard", &curriculum as &dyn Order), ("shuffled", &shuffle)] {
        println!("{name}");
        train(&mut NETWORK.initial(SEED), &data, order, 8)?;
    }
    Ok(())
}

fn train(params: &mut [f32], data: &data::Split, order: &dyn Order, epochs: u64) -> Result<()> {
    let mut momentum = Momentum::new(0.05, 0.9, params.len())?;
    let mut grads = vec![0.0; params.len()];
    let batcher = Batcher::over(order, 32)?;
    for epoch in 0..epochs {
        let mut loss = 0.0;
        for batch in &batcher.epoch(epoch) {
            let mean = NETWORK.loss_and_gradient(params, &data.train, batch, &mut grads);
            loss += mean * batch.len() as f64;
            momentum.step(params, &grads)?;
        }
        let accuracy = 100.0 * NETWORK.accuracy(params, &data.held_out);
        let loss = loss / batcher.len() as f64;
        println!("epoch {}  loss {loss:.4}  held-out {accuracy:.2} %", epoch + 1);
    }
    Ok(())
}
