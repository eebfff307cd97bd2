use alloc::vec::Vec;
use core::{cmp::Reverse, mem};

use super::{classes::Classes, shares::Shares, shuffle};
use crate::{
    check,
    error::{Error, Relation},
};

/// Gives each group as a whole to a part: the largest group first, each to the part that lacks most of its share of the
/// group's classes. Returns the part of each sample, and how many samples each part has.
pub(super) fn deal(
    groups: Classes,
    classes: &Classes,
    shares: &Shares,
    seed: u64,
) -> Result<(Vec<u32>, Vec<usize>), Error> {
    let (group_count, class_count, parts) = (groups.sizes.len(), classes.sizes.len(), shares.len());
    check::count("number of groups", group_count as u64, Relation::AtLeast, parts as u64, "number of parts")?;
    let order = largest_first(&groups, seed)?;
    let (samples, ends) = group_by_group(&groups)?;

    let mut part_of: Vec<u32> = check::zeros("groups", group_count)?;
    // How many samples each part has in all, and how many of each class, class after class.
    let mut counts: Vec<usize> = check::zeros("parts", parts)?;
    let mut given: Vec<usize> = check::zeros("classes", class_count.saturating_mul(parts))?;
    // The classes of the current group, and how many samples it has of each class. Both are emptied after each group
    // and used again.
    let mut present = check::room("classes", class_count)?;
    let mut of_class: Vec<usize> = check::zeros("classes", class_count)?;
    let mut empty = parts;
    for (done, &(Reverse(size), _, group)) in order.iter().enumerate() {
        for &sample in &samples[ends[group] - size..ends[group]] {
            let class = classes.of[sample as usize] as usize;
            if of_class[class] == 0 {
                present.push(class);
            }
            of_class[class] += 1;
        }

        let lacks = |part: usize| {
            let has = |&class: &usize| {
                let times = of_class[class] as u128 * given[class * parts + part] as u128;
                (times << 32) / classes.sizes[class] as u128
            };
            shares.lacks_in_group(part, size, present.iter().map(has).sum())
        };
        // No part may end without a group, so the last groups go to the parts that are still empty.
        let only_empty = group_count - done <= empty;
        let open = (0..parts).filter(|&part| !only_empty || counts[part] == 0);
        let part = open.max_by_key(|&part| (lacks(part), Reverse(part))).unwrap_or(0);

        part_of[group] = part as u32;
        empty -= usize::from(counts[part] == 0);
        counts[part] += size;
        for class in present.drain(..) {
            given[class * parts + part] += mem::take(&mut of_class[class]);
        }
    }
    let mut of = groups.of;
    of.iter_mut().for_each(|of| *of = part_of[*of as usize]);
    Ok((of, counts))
}

/// For each group its size, the place of its first sample in the shuffled order, and its number. The largest group is
/// first; groups of equal size are in the order of these places, so that the seed decides.
fn largest_first(groups: &Classes, seed: u64) -> Result<Vec<(Reverse<usize>, usize, usize)>, Error> {
    let mut samples = check::zeros("samples", groups.of.len())?;
    let mut scratch = check::zeros("scratch", shuffle::scratch_len(samples.len()))?;
    shuffle::fill(&mut samples, &mut scratch, b"split v1", seed, 0);
    let mut order = check::room("groups", groups.sizes.len())?;
    let mut seen: Vec<u8> = check::zeros("groups", groups.sizes.len())?;
    for (place, sample) in samples.into_iter().enumerate() {
        let group = groups.of[sample] as usize;
        if mem::replace(&mut seen[group], 1) == 0 {
            order.push((Reverse(groups.sizes[group]), place, group));
        }
    }
    order.sort_unstable();
    Ok(order)
}

/// The samples group after group, and where each group ends.
fn group_by_group(groups: &Classes) -> Result<(Vec<u32>, Vec<usize>), Error> {
    let mut samples = check::zeros("samples", groups.of.len())?;
    let mut ends: Vec<usize> = check::zeros("groups", groups.sizes.len())?;
    // `ends` first has where each group begins; it moves on with each sample that is written.
    let mut start = 0;
    for (end, size) in ends.iter_mut().zip(&groups.sizes) {
        *end = start;
        start += size;
    }
    for (&group, sample) in groups.of.iter().zip(0..) {
        let end = &mut ends[group as usize];
        samples[*end] = sample;
        *end += 1;
    }
    Ok((samples, ends))
}
