//! Subsets: lists of samples as orders.

use gradstep::{Batcher, Order, Shuffle, Subset};

use crate::common::{golden::digest, says};

const LIST: [usize; 5] = [92, 3, 14, 3, 65];
const HASH: u64 = 0xF625788CBAAE6236;

fn list() -> Subset {
    Subset::new(LIST.to_vec()).unwrap()
}

#[test]
fn the_list_as_it_is_in_every_epoch() {
    for epoch in [0, 1, u64::MAX] {
        assert_eq!(Batcher::over(list(), 2).unwrap().epoch(epoch).indices(), LIST);
    }
    assert_eq!((list().samples(), list().len(), list().longest_run()), (&LIST[..], 5, 1));
    let mut middle = [0; 2];
    list().try_fill(7, 2, &mut middle).unwrap();
    assert_eq!(middle, LIST[2..4]);
}

#[test]
fn shuffled_as_its_places_are() {
    let shuffled = list().shuffled(8).unwrap();
    for epoch in 0..20 {
        let places = Batcher::over(Shuffle::new(5, 8).unwrap(), 5).unwrap().epoch(epoch).indices().to_vec();
        let expected: Vec<usize> = places.into_iter().map(|place| LIST[place]).collect();
        assert_eq!(Batcher::over(&shuffled, 2).unwrap().epoch(epoch).indices(), expected);
    }
    assert_eq!((shuffled.samples(), shuffled.longest_run()), (&LIST[..], 5));
}

/// What a position keeps for ever: FNV-1a over the samples, as 8 little-endian bytes each.
#[test]
fn value_stability_of_the_hash() {
    let hash = ("hash of the samples", digest(&LIST.map(|sample| sample as u64)));
    assert_eq!(hash.1, HASH);
    for settings in [list().settings(), list().shuffled(1).unwrap().settings()] {
        assert_eq!(settings.last(), Some(&hash));
    }
}

#[test]
fn another_list_is_not_resumed() {
    let batcher = |samples: &[usize]| Batcher::over(Subset::new(samples.to_vec()).unwrap(), 2).unwrap();
    let position = batcher(&LIST).position(3, 2).unwrap();
    assert_eq!(batcher(&LIST).resume(&position).unwrap().next_batch(), Some(&LIST[2..4]));
    for other in [[92, 3, 14, 65, 3], [92, 3, 14, 3, 66], [92, 3, 14, 3, 65 + 256]] {
        let expected = digest(&other.map(|sample| sample as u64));
        let message = format!("saved hash of the samples is {HASH}, expected {expected}");
        says(batcher(&other).resume(&position), &message);
    }
    says(
        Batcher::over(list().shuffled(1).unwrap(), 2).unwrap().resume(&position),
        r#"saved order is ["sequential", "len", "hash of the samples"], expected ["shuffle", "len", "seed", "hash of the samples"]"#,
    );
}

#[test]
fn what_is_wrong_is_named() {
    says(Subset::new(vec![]), "number of samples is 0, expected at least 1");
}

#[test]
fn by_label() {
    let labels = ["cat", "ant", "cat", "bee", "ant", "cat"];
    let classes = Subset::by_label(&labels).unwrap();
    assert_eq!(classes.iter().map(Subset::samples).collect::<Vec<_>>(), [&[1, 4][..], &[3], &[0, 2, 5]]);
    says(Subset::by_label::<u8>(&[]), "number of labels is 0, expected at least 1");
}
