//! The rows of a batch side by side, beside the bare row-copy loop, over data larger than the caches.
//!
//! `cargo bench --bench gather [-- MEGABYTES]`; nanoseconds per row, least of several rounds taken in turn.

use gradstep::{Batcher, gather};

mod common;
use common::{alternate, heading, largest};

fn main() {
    heading("cargo bench --bench gather", "bytes, gather, bare");
    let data: Vec<f32> = (0..largest(512) << 18).map(|i| i as f32).collect();
    for row_len in [4, 16, 64, 256, 1024] {
        let batcher = Batcher::new(data.len() / row_len, 1024, 1).expect("valid");
        // Other epochs for each, so that neither finds in the caches what the other has just read.
        let from = |epoch| batcher.position(epoch, 0).and_then(|position| batcher.resume(&position)).expect("valid");
        let (mut own_batches, mut bare_batches) = (from(0), from(1 << 32));
        let (mut own, mut bare) = (Vec::new(), vec![0.0; 1024 * row_len]);
        let times = alternate(
            200,
            5,
            &mut [
                &mut || {
                    let batch = own_batches.next_batch().expect("endless");
                    gather(&data, row_len, batch, &mut own).expect("below len");
                },
                &mut || {
                    let batch = bare_batches.next_batch().expect("endless");
                    bare.truncate(batch.len() * row_len);
                    for (row, &i) in bare.chunks_exact_mut(row_len).zip(batch) {
                        row.copy_from_slice(&data[i * row_len..][..row_len]);
                    }
                },
            ],
        );
        assert_eq!(own.len(), bare.len());
        let batch = own_batches.next_batch().expect("endless");
        gather(&data, row_len, batch, &mut own).expect("below len");
        assert!(own.chunks(row_len).zip(batch).all(|(row, &i)| *row == data[i * row_len..][..row_len]), "other rows");
        let [own, bare] = [times[0], times[1]].map(|time| time * 1e9 / 1024.0);
        println!("{}, {own:.1}, {bare:.1}", 4 * row_len);
    }
}
