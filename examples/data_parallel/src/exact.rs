//! A sum of gradients, and its norm, that have the same bits for any number of ranks.
//!
//! A global batch is cut into blocks of `BLOCK` samples. One rank computes a block's gradient, and the blocks are added
//! along one tree that depends on their number alone: the sum of a..b is that of a..a + h plus that of a + h..b, with h the
//! largest power of two below b - a. A rank adds up the subtrees that lie within its own blocks, and sends their sums. The
//! rest of the tree is the same additions, whichever rank computes them.

use std::ops::Range;

use gradstep::{Batcher, Error, global_norm};
use mpi::Count;
use mpi::datatype::{Partition, PartitionMut};
use mpi::traits::*;

/// The number of samples in a block. Another number is another tree and gives other bits.
pub(crate) const BLOCK: usize = 8;

/// With a norm, each rank's part of the gradient is whole blocks of this many numbers. Another number gives other bits.
pub(crate) const NORM_BLOCK: usize = 256;

/// The norm of a gradient of `len` numbers, of which each rank has a part.
///
/// Every block is on one rank, so its norm does not depend on the number of ranks. Every rank gets the norms of all blocks,
/// whose norm is that of the whole.
pub(crate) fn norm(world: &impl Communicator, part: &[f32], len: usize) -> Result<f64, Error> {
    let own = block_norms(part)?;
    let mut all = vec![0.0; own.len() * world.size() as usize];
    world.all_gather_into(&own[..], &mut all[..]);
    norm_of_blocks(&all, len)
}

fn block_norms(part: &[f32]) -> Result<Vec<f64>, Error> {
    part.chunks(NORM_BLOCK).map(|block| global_norm(&[block])).collect()
}

/// Leaves out the blocks of zeros at the end: the number of ranks decides how many there are.
fn norm_of_blocks(norms: &[f64], len: usize) -> Result<f64, Error> {
    global_norm(&[&norms[..len.div_ceil(NORM_BLOCK)]])
}

/// The tree over one batch's blocks: for each rank the largest subtrees within its blocks, in the blocks' order.
pub(crate) struct Tree {
    blocks: usize,
    subtrees: Vec<Vec<Range<usize>>>,
}

/// Kept from step to step, because new memory would cost as much time as the additions.
#[derive(Default)]
pub(crate) struct Buffers {
    sums: Vec<f32>,
    sent: Vec<f32>,
    received: Vec<f32>,
    spare: Vec<Vec<f32>>,
}

impl Tree {
    pub(crate) fn new(batcher: &Batcher, batch: &[usize], ranks: usize) -> Result<Self, Error> {
        let blocks = batch.len().div_ceil(BLOCK);
        let own = |rank| Ok(subtrees(0..blocks, &batcher.shard(rank, ranks)?.range(blocks)));
        Ok(Tree { blocks, subtrees: (0..ranks).map(own).collect::<Result<_, _>>()? })
    }

    /// Computes the sums of `rank`'s subtrees, `len` numbers each. `gradient` writes the sum of a block.
    pub(crate) fn sum(
        &self,
        rank: usize,
        batch: &[usize],
        len: usize,
        buffers: &mut Buffers,
        mut gradient: impl FnMut(&[usize], &mut [f32]),
    ) {
        let mut block = |node: &Range<usize>, out: &mut [f32]| {
            if node.len() == 1 {
                gradient(&batch[node.start * BLOCK..batch.len().min(node.end * BLOCK)], out);
            }
            node.len() == 1
        };
        let own = &self.subtrees[rank];
        buffers.sums.resize(own.len() * len, 0.0);
        for (subtree, out) in own.iter().zip(buffers.sums.chunks_mut(len)) {
            sum(subtree.clone(), out, &mut buffers.spare, &mut block);
        }
    }

    /// Computes this rank's `part` of the sum of the whole batch from all ranks' sums.
    pub(crate) fn reduce_scatter(&self, world: &impl Communicator, buffers: &mut Buffers, part: &mut [f32]) {
        let Buffers { sums, sent, received, spare } = buffers;
        // To each rank its part of every sum.
        let (ranks, len) = (self.subtrees.len(), part.len());
        sent.clear();
        for rank in 0..ranks {
            for sum in sums.chunks(ranks * len) {
                sent.extend_from_slice(&sum[rank * len..][..len]);
            }
        }
        let (counts, starts) = split(vec![sums.len() / ranks; ranks]);
        let sent = Partition::new(&sent[..], counts, starts);

        let (counts, starts) = split(self.subtrees.iter().map(|subtrees| subtrees.len() * len).collect());
        received.resize(self.subtrees.iter().flatten().count() * len, 0.0);
        world.all_to_all_varcount_into(&sent, &mut PartitionMut::new(&mut received[..], counts, starts));

        // They arrive in the order in which the tree is walked.
        let mut received = self.subtrees.iter().flatten().zip(received.chunks(len)).peekable();
        let mut next = |node: &Range<usize>, out: &mut [f32]| match received.next_if(|(subtree, _)| *subtree == node) {
            Some((_, sum)) => {
                out.copy_from_slice(sum);
                true
            }
            None => false,
        };
        sum(0..self.blocks, part, spare, &mut next);
    }
}

/// The counts, and where each rank's elements start, as MPI wants them.
fn split(counts: Vec<usize>) -> (Vec<Count>, Vec<Count>) {
    let starts = counts.iter().scan(0, |end, count| Some(std::mem::replace(end, *end + count))).collect();
    let [counts, starts] = [counts, starts].map(|numbers: Vec<usize>| numbers.iter().map(|&n| n as Count).collect());
    (counts, starts)
}

fn halves(node: &Range<usize>) -> [Range<usize>; 2] {
    let middle = node.start + node.len().next_power_of_two() / 2;
    [node.start..middle, middle..node.end]
}

/// The largest subtrees of `node` within the blocks `own`, in their order.
fn subtrees(node: Range<usize>, own: &Range<usize>) -> Vec<Range<usize>> {
    if node.start >= own.end || node.end <= own.start {
        vec![]
    } else if node.start >= own.start && node.end <= own.end {
        vec![node]
    } else {
        halves(&node).into_iter().flat_map(|half| subtrees(half, own)).collect()
    }
}

/// Writes the sum of a node to `out`: `known` writes it and returns true, or it is the sum of the halves.
fn sum(
    node: Range<usize>,
    out: &mut [f32],
    spare: &mut Vec<Vec<f32>>,
    known: &mut impl FnMut(&Range<usize>, &mut [f32]) -> bool,
) {
    if !known(&node, out) {
        let [left, right] = halves(&node);
        sum(left, out, spare, known);
        let mut other = spare.pop().unwrap_or_default();
        other.resize(out.len(), 0.0);
        sum(right, &mut other, spare, known);
        for (o, other) in out.iter_mut().zip(&other) {
            *o += other;
        }
        spare.push(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To the last bit, which rounding to f32 would hide in the parameters.
    #[test]
    fn the_norm_is_the_same_for_any_number_of_ranks() {
        for len in [1_usize, 1210, 19_210] {
            let grads: Vec<f32> = (0..len).map(|i| (0.3 + 0.7 * i as f32).sin()).collect();
            let of = |ranks: usize| {
                let part_len = NORM_BLOCK * len.div_ceil(NORM_BLOCK * ranks);
                let mut padded = grads.clone();
                padded.resize(ranks * part_len, 0.0);
                let norms: Vec<f64> = padded.chunks(part_len).flat_map(|part| block_norms(part).unwrap()).collect();
                norm_of_blocks(&norms, len).unwrap()
            };
            assert!((of(1) / global_norm(&[&grads]).unwrap() - 1.0).abs() < 1e-14);
            for ranks in 2..20 {
                assert_eq!(of(ranks).to_bits(), of(1).to_bits(), "{ranks} ranks, {len}");
            }
        }
    }
}
