//! Three ways to order the samples.

use gradstep::{Batcher, Draws, Error};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Order {
    Replacement,
    Fixed,
    Reshuffled,
}

/// The samples of each epoch, one epoch after another.
pub(crate) fn epochs(order: Order, len: usize, seed: u64) -> Result<impl Iterator<Item = Vec<usize>>, Error> {
    let batcher = Batcher::new(len, 1, seed)?;
    Ok((0..).map(move |epoch| match order {
        Order::Reshuffled => batcher.epoch(epoch).indices().to_vec(),
        Order::Fixed => batcher.epoch(0).indices().to_vec(),
        Order::Replacement => {
            let mut draws = Draws::new("with replacement", [epoch, 0], seed);
            (0..len).map(|_| draws.below(len as u64).expect("len is at least 1") as usize).collect()
        }
    }))
}
