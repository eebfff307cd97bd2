//! Shards of a batch.

use gradstep::{Batcher, Shard};
use proptest::prelude::*;

use crate::common::{batchers, config, says};

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn shards_in_rank_order_are_the_batch(batcher in batchers(), world_size in 1_usize..40, number in any::<u64>()) {
        prop_assume!(world_size <= batcher.batch_size());
        for batch in &batcher.epoch(number) {
            let mut together = Vec::new();
            for rank in 0..world_size {
                let shard = batcher.shard(rank, world_size).unwrap();
                prop_assert_eq!((shard.rank(), shard.world_size()), (rank, world_size));
                let part = shard.of(batch);
                prop_assert_eq!(shard.range(batch.len()), together.len()..together.len() + part.len());
                // As even as can be.
                prop_assert!(part.len() == batch.len() / world_size || part.len() == batch.len().div_ceil(world_size));
                together.extend_from_slice(part);
            }
            prop_assert_eq!(together, batch);
        }
    }
}

#[test]
fn shards_of_nothing_and_of_everything() {
    let most = usize::MAX;
    let third = most / 3; // 2^32 - 1 and 2^64 - 1 are multiples of 3
    for rank in 0..3 {
        let shard = Shard::new(3, rank, 3).unwrap();
        assert_eq!(shard.range(most), rank * third..(rank + 1) * third);
        assert_eq!((shard.range(0), shard.of::<f32>(&[])), (0..0, &[][..]));
    }
    assert_eq!(Shard::new(most, most - 1, most).unwrap().range(most), most - 1..most);
    let error = Shard::new(most - 1, 0, most).unwrap_err();
    assert_eq!(error.to_string(), format!("world_size is {most}, expected at most batch_size = {}", most - 1));
}

#[test]
fn invalid_shards_are_rejected() {
    let batcher = Batcher::new(10, 4, 1).unwrap();
    says(batcher.shard(0, 0), "world_size is 0, expected at least 1");
    says(batcher.shard(0, 5), "world_size is 5, expected at most batch_size = 4");
    says(batcher.shard(3, 3), "rank is 3, expected below world_size = 3");
    assert!(batcher.shard(3, 4).is_ok());
}
