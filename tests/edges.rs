//! Arithmetic at the edges: subnormals, signed zeros, infinities, NaN, settings at their ends, lengths 0 and 1.
//!
//! The numbers are worked by hand, in units of the type: tiny is its smallest subnormal, max its largest number.

use std::fmt::Debug;

use gradstep::{
    Accumulator, Batcher, Form, Guard, Momentum, Optimizer, ParamGroups, Permutation, Sgd, Shard, WeightDecay,
    clip_global_norm, clip_value, gather, global_norm, schedule,
};
use half::{bf16, f16};
use num_traits::{Float, cast};

mod all;
use all::FORMS;

trait Scalar: Float + Send + Sync + Debug + 'static {}
impl<F: Float + Send + Sync + Debug + 'static> Scalar for F {}

fn number<F: Float>(x: f64) -> F {
    cast(x).unwrap()
}

fn tiny<F: Float>() -> F {
    F::min_positive_value() * F::epsilon()
}

/// Equal to the bit, NaN's payload aside.
fn same<F: Float>(a: F, b: F) -> bool {
    (a.is_nan() && b.is_nan()) || (a == b && a.is_sign_negative() == b.is_sign_negative())
}

/// Short ones, ones for whole vectors and a rest, and one that goes to two threads.
const LENS: [usize; 5] = [1, 31, 130, 1000, (1 << 17) + 77];

/// `rows` are parameter, gradient, and the parameter after one step of `optimizer`; a slice holds them in turn.
fn steps_to<F: Scalar, const N: usize>(
    optimizer: impl Fn(&[F]) -> Box<dyn Optimizer<F>>,
    rows: [(F, F, F); N],
    name: &str,
) {
    for len in LENS {
        let mut params: Vec<F> = (0..len).map(|i| rows[i % N].0).collect();
        let grads: Vec<F> = (0..len).map(|i| rows[i % N].1).collect();
        optimizer(&params).step(&mut params, &grads).unwrap();
        for (i, &after) in params.iter().enumerate() {
            let (before, g, expected) = rows[i % N];
            assert!(same(after, expected), "{name}: {before:?}, {g:?} -> {after:?}, not {expected:?}; {i} of {len}");
        }
    }
}

/// Parameter and gradient, and the parameter after the first step at η = λ = 1/2 by: Sgd, and Momentum in its four forms.
fn first_steps<F: Scalar>() {
    let (zero, one, max, nan, inf) = (F::zero(), F::one(), F::max_value(), F::nan(), F::infinity());
    let (normal, tiny) = (F::min_positive_value(), tiny::<F>());
    let [two, three] = [2.0, 3.0].map(|n| tiny * number(n));
    #[rustfmt::skip]
    let rows: [(F, F, [F; 5]); 18] = [
        (zero, zero, [zero; 5]),
        (zero, -zero, [zero; 5]),
        (-zero, zero, [-zero, zero, zero, -zero, -zero]), // the classical forms add m = 0 - 0 = +0
        (-zero, -zero, [zero, zero, zero, -zero, -zero]), // PyTorch's v = 0 + -0 = +0
        (inf, one, [inf; 5]),
        (one, inf, [-inf; 5]),
        (one, -inf, [inf; 5]),
        (-inf, inf, [-inf; 5]),
        (inf, inf, [nan; 5]),
        (one, nan, [nan; 5]),
        (nan, one, [nan; 5]),
        (max, -max, [inf; 5]),
        (-max, max, [-inf; 5]),
        (max, -one, [max; 5]),
        // 2 tiny / 2 = 1 tiny. Nesterov's λ m = -1/2 tiny rounds to -0; PyTorch's 2 + 1/2 · 2 = 3, halved: 1.5, to even: 2.
        (tiny, two, [zero, zero, zero, zero, -tiny]),
        // Half of tiny rounds to 0: too small an update is lost.
        (three, tiny, [three; 5]),
        (three, two, [two, two, two, two, tiny]),
        // From the normal numbers into the subnormal ones.
        (normal, two, [normal - tiny, normal - tiny, normal - tiny, normal - tiny, normal - two]),
    ];
    assert!(tiny > zero && tiny * number(0.5) == zero && (normal - tiny) + tiny == normal && normal - tiny < normal);
    let half = number::<F>(0.5);
    let rule = |n: usize| rows.map(|(p, g, after)| (p, g, after[n]));
    let kind = std::any::type_name::<F>();
    steps_to(|_| Box::new(Sgd::new(half).unwrap()), rule(0), &format!("Sgd, {kind}"));
    for (n, form) in FORMS.into_iter().enumerate() {
        let momentum = |params: &[F]| Momentum::new(half, half, params.len()).unwrap().with_form(form);
        steps_to(|params| Box::new(momentum(params)), rule(n + 1), &format!("{form:?}, {kind}"));
    }
}

#[test]
fn first_steps_in_every_type() {
    first_steps::<f32>();
    first_steps::<f64>();
    first_steps::<f16>();
    first_steps::<bf16>();
}

/// The same once more as literal bits, so that a wrong `tiny` or `number` above cannot hide a flush to zero.
#[test]
fn subnormals_are_kept_to_the_bit() {
    for len in LENS {
        let mut params: Vec<f32> = (0..len as u32).map(|i| f32::from_bits(0x0080_0000 + i % 4)).collect(); // 2^-126 + i 2^-149
        Sgd::new(1.0).unwrap().step(&mut params, &vec![f32::from_bits(0x0000_0005); len]).unwrap();
        assert!(params.iter().zip(0..).all(|(p, i)| p.to_bits() == 0x007F_FFFB + i % 4), "f32, {len}");

        let mut params: Vec<f64> = (0..len as u64).map(|i| f64::from_bits(0x0010_0000_0000_0000 + i % 4)).collect();
        let mut momentum = Momentum::new(1.0, 0.5, len).unwrap();
        momentum.step(&mut params, &vec![f64::from_bits(4); len]).unwrap(); // m = -4
        momentum.step(&mut params, &vec![f64::from_bits(1); len]).unwrap(); // m = -2 - 1
        assert!(params.iter().zip(0..).all(|(p, i)| p.to_bits() == 0x000F_FFFF_FFFF_FFF9 + i % 4), "f64, {len}");
        assert!(momentum.velocity().iter().all(|m| m.to_bits() == 0x8000_0000_0000_0003), "velocity, {len}");
    }
}

fn one_by_one<F: Scalar>(optimizer: &mut dyn Optimizer<F>, param: f64, grads: &[f64]) -> Vec<F> {
    let mut params = [number::<F>(param)];
    let mut step = |&g: &f64| {
        optimizer.step(&mut params, &[number(g)]).unwrap();
        params[0]
    };
    grads.iter().map(&mut step).collect()
}

fn learning_rate_zero<F: Scalar>() {
    let (zero, inf) = (F::zero(), F::infinity());
    for rate in [zero, -zero] {
        let mut sgd = Sgd::new(rate).unwrap();
        assert_eq!(one_by_one(&mut sgd, 3.0, &[8.0, -8.0]), [number::<F>(3.0); 2]);
        assert!(one_by_one(&mut sgd, 3.0, &[f64::INFINITY])[0].is_nan(), "0 · ∞");
    }
    // -0 - 0 · 1 = -0, and -0 - 0 · -1 = +0: the sign of a zero is not kept.
    let rows = [(-zero, F::one(), -zero), (-zero, -F::one(), zero), (zero, F::one(), zero), (inf, F::one(), inf)];
    steps_to(|_| Box::new(Sgd::new(F::zero()).unwrap()), rows, "η = 0");

    // θ = 16, g = 16, η = 1/4, λ = 1/2; then η = 0, g = 8 twice. The classical forms coast on, PyTorch's stand still.
    let expected = [[12.0, 10.0, 9.0], [10.0, 9.0, 8.5], [12.0; 3], [10.0; 3]];
    let velocity = [-1.0, -1.0, 16.0, 16.0]; // m: -4, -2, -1; v: 16, 8 + 8, 8 + 8
    for ((form, expected), velocity) in FORMS.into_iter().zip(expected).zip(velocity) {
        let mut momentum = Momentum::new(number::<F>(0.25), number(0.5), 1).unwrap().with_form(form);
        assert_eq!(one_by_one(&mut momentum, 16.0, &[16.0]), [number::<F>(expected[0])], "{form:?}");
        momentum.set_learning_rate(zero).unwrap();
        let after = one_by_one(&mut momentum, expected[0], &[8.0, 8.0]);
        assert_eq!(after, [expected[1], expected[2]].map(number::<F>), "{form:?}");
        assert_eq!(momentum.velocity(), [number(velocity)], "{form:?}");
    }
}

#[test]
fn learning_rate_zero_in_every_type() {
    learning_rate_zero::<f32>();
    learning_rate_zero::<f64>();
    learning_rate_zero::<f16>();
    learning_rate_zero::<bf16>();
}

/// With `digits` digits the largest momentum below 1 is 1 - 2^-digits. At g = -1 the classical velocity goes 1, 2 and 3 (each a
/// tie, to even), then 4 - 2^(2 - digits): λ 3 = 3 - 3 · 2^-digits, to the nearest multiple of 2^(2 - digits).
fn momentum_at_its_ends<F: Scalar>(digits: i32) {
    let below_one = F::one() - F::epsilon() * number(0.5);
    assert_eq!(below_one, number(1.0 - 2.0_f64.powi(-digits)));
    let mut momentum = Momentum::new(F::one(), below_one, 1).unwrap();
    for velocity in [1.0, 2.0, 3.0, 4.0 - 2.0_f64.powi(2 - digits)] {
        momentum.step(&mut [F::zero()], &[-F::one()]).unwrap();
        assert_eq!(momentum.velocity(), [number::<F>(velocity)]);
    }

    for form in FORMS {
        // λ = 0 forgets every velocity but an infinite one, since 0 · ∞ is NaN.
        let mut momentum = Momentum::new(number::<F>(0.5), F::zero(), 2).unwrap().with_form(form);
        let mut params = [F::zero(); 2];
        momentum.step(&mut params, &[number(4.0), F::infinity()]).unwrap();
        let nesterov = matches!(form, Form::Nesterov | Form::PyTorchNesterov); // it uses λ times the new velocity
        assert!(same(params[1], if nesterov { F::nan() } else { F::neg_infinity() }), "{form:?}");
        momentum.step(&mut params, &[F::one(); 2]).unwrap();
        assert!(params[0] == number(-2.5) && params[1].is_nan(), "{form:?}");
        momentum.reset();
        assert_eq!(momentum.velocity(), [F::zero(); 2], "{form:?}");
    }
}

#[test]
fn momentum_zero_and_just_below_one() {
    momentum_at_its_ends::<f32>(24);
    momentum_at_its_ends::<f64>(53);
    momentum_at_its_ends::<f16>(11);
    momentum_at_its_ends::<bf16>(8);
}

fn decay_at_its_ends<F: Scalar>() {
    let (zero, one, inf, nan) = (F::zero(), F::one(), F::infinity(), F::nan());
    let sgd = |decay| move |_: &[F]| Box::new(Sgd::new(one).unwrap().with_weight_decay(decay).unwrap()) as Box<_>;
    // Strength 0 is a decay all the same: -0 - 0 · -0 = +0, and 0 · ∞ is NaN.
    for decay in [WeightDecay::Coupled(zero), WeightDecay::Decoupled(zero)] {
        let zero_of_zero = if let WeightDecay::Coupled(_) = decay { -zero } else { zero };
        steps_to(sgd(decay), [(one, one, zero), (-zero, zero, zero_of_zero), (inf, one, nan)], "strength 0");
    }
    // η w = 1 takes the parameter to 0 at once; η w = ∞ is no number any more.
    steps_to(sgd(WeightDecay::Decoupled(one)), [(number(3.0), -one, one), (-one, zero, zero)], "strength 1");
    let overflow = |_: &[F]| {
        let sgd = Sgd::new(F::max_value()).unwrap().with_weight_decay(WeightDecay::Decoupled(F::max_value()));
        Box::new(sgd.unwrap()) as Box<dyn Optimizer<F>>
    };
    steps_to(overflow, [(one, zero, -inf), (-one, zero, inf), (zero, zero, nan)], "strength max");
    // Coupled: 3 tiny - (0 + 1/2 · 3 tiny, to even: 2 tiny).
    let tiny = tiny::<F>();
    steps_to(sgd(WeightDecay::Coupled(number(0.5))), [(tiny * number(3.0), zero, tiny)], "strength 1/2");
}

#[test]
fn weight_decay_at_its_ends() {
    decay_at_its_ends::<f32>();
    decay_at_its_ends::<f64>();
    decay_at_its_ends::<f16>();
    decay_at_its_ends::<bf16>();
}

#[test]
fn no_parameters_are_a_step_too() {
    for (name, mut optimizer) in all::optimizers(0) {
        assert_eq!(optimizer.check(&[], &[]), Ok(()), "{name}");
        assert_eq!(optimizer.step(&mut [], &[]), Ok(()), "{name}");
        assert!(optimizer.step(&mut [], &[1.0]).is_err(), "{name}");
    }
    let mut sgd = Sgd::new(0.5_f32).unwrap();
    sgd.step(&mut [], &[]).unwrap();
    assert_eq!(sgd.steps(), 1);
    let mut model = ParamGroups::new();
    model.insert("none", 0, Momentum::new(0.5, 0.5, 0).unwrap()).unwrap();
    model.insert("", 1, Momentum::new(0.5, 0.5, 1).unwrap()).unwrap(); // a name like any other
    let mut one = [1.0_f64];
    model.step(&mut [("none", &mut [], &[]), ("", &mut one, &[1.0])]).unwrap();
    assert_eq!((one, model.steps()), ([0.5], 1));
}

/// Sgd with η = 1 on the f32 copy, whose range and digits are not the parameters'.
#[cfg(feature = "half")]
fn copies<H: Scalar>(master: impl Fn(&[H]) -> Box<dyn Optimizer<H>>) {
    let (zero, one, max, inf, nan) = (H::zero(), H::one(), H::max_value(), H::infinity(), H::nan());
    let (normal, tiny) = (H::min_positive_value(), tiny::<H>());
    let rows = [
        (tiny, zero, tiny),
        (-zero, zero, -zero),
        (-normal, -tiny, tiny - normal),
        (max, -max, inf),
        (one, inf, -inf),
        (inf, inf, nan),
        (one, nan, nan),
        (nan, one, nan),
    ];
    steps_to(master, rows, std::any::type_name::<H>());
}

#[test]
#[cfg(feature = "half")]
fn master_copies() {
    use gradstep::MasterCopy;

    let sgd = || Sgd::new(1.0_f32).unwrap();
    copies::<f16>(|params| Box::new(MasterCopy::new(sgd(), params).unwrap()));
    copies::<bf16>(|params| Box::new(MasterCopy::new(sgd(), params).unwrap()));

    // Beyond f16's range and back: the copy has kept the number.
    let mut params = [f16::MAX];
    let mut master = MasterCopy::new(sgd(), &params).unwrap();
    master.step(&mut params, &[-f16::MAX]).unwrap();
    assert_eq!((params, master.master()), ([f16::INFINITY], &[131_008.0_f32][..]));
    master.step(&mut params, &[f16::MAX]).unwrap();
    assert_eq!(params, [f16::MAX]);

    let mut none = MasterCopy::<bf16, _>::new(sgd(), &[]).unwrap();
    assert_eq!((none.step(&mut [], &[]), none.master()), (Ok(()), &[][..]));
}

// Gradients -----------------------------------------------------------------------------------------------------------

/// 4 · n values of one size have the norm 2 √n times that; clipped to half of it each is halved, ties to even.
fn gradients<F: Scalar>() {
    let (zero, max, tiny) = (F::zero(), F::max_value(), tiny::<F>());
    let [two, three] = [2.0, 3.0].map(|n| tiny * number(n));
    for root in [1, 16, 512] {
        for (g, halved) in [(tiny, zero), (-tiny, -zero), (two, tiny), (three, two), (-three, -two)] {
            let norm = 2.0 * f64::from(root) * g.abs().to_f64().unwrap();
            let mut grads = [vec![g; 4 * (root * root) as usize]];
            assert_eq!(global_norm(&grads), Ok(norm));
            assert_eq!(clip_global_norm(&mut grads, norm / 2.0), Ok(norm));
            assert!(grads[0].iter().all(|&g| same(g, halved)), "{g:?} times 4 · {root}²");
        }
    }

    let mut grads = [[three, -three, tiny, zero, -zero, max]];
    clip_value(&mut grads, tiny).unwrap();
    assert!(grads[0].into_iter().zip([tiny, -tiny, tiny, zero, -zero, tiny]).all(|(g, expected)| same(g, expected)));
    let mut grads = [[max, -max]];
    clip_value(&mut grads, max).unwrap();
    assert_eq!(grads, [[max, -max]]);

    // The mean of tiny and 2 tiny is 1.5, to even: 2; of -0 and -0 it is +0, since the sum begins there.
    for len in LENS {
        let mut accumulator = Accumulator::new(2 * len).unwrap();
        accumulator.add(&[tiny, -zero].repeat(len), 1).unwrap();
        accumulator.add(&[two, -zero].repeat(len), 1).unwrap();
        let mut mean = vec![F::nan(); 2 * len];
        accumulator.mean(&mut mean).unwrap();
        assert!(mean.chunks(2).all(|pair| same(pair[0], two) && same(pair[1], zero)), "{len}");
    }
    let mut accumulator = Accumulator::new(1).unwrap();
    accumulator.add(&[three], usize::MAX).unwrap();
    let mut mean = [F::nan()];
    accumulator.mean(&mut mean).unwrap();
    assert_eq!(mean, [three]);

    // The smallest, the largest and no numbers at all are finite.
    let mut params = [zero; 4];
    Guard(Sgd::new(F::one()).unwrap()).step(&mut params, &[max, -max, tiny, -zero]).unwrap();
    assert_eq!(params, [-max, max, -tiny, zero]);
    assert_eq!(Guard(Sgd::new(F::one()).unwrap()).step(&mut [], &[]), Ok(()));
}

#[test]
fn gradients_in_every_type() {
    gradients::<f32>();
    gradients::<f64>();
    gradients::<f16>();
    gradients::<bf16>();
}

#[test]
fn no_gradients() {
    let mut accumulator = Accumulator::new(0).unwrap();
    assert!(accumulator.mean::<f32>(&mut []).is_err());
    accumulator.add::<f32>(&[], 1).unwrap();
    assert_eq!(accumulator.mean::<f32>(&mut []), Ok(()));
    clip_value(&mut [[0.0_f32; 0]; 2], 1.0).unwrap();
    assert_eq!(clip_global_norm(&mut [[0.0_f32; 0]; 2], 1.0), Ok(0.0));
}

// Schedules -----------------------------------------------------------------------------------------------------------

fn schedules<F: Scalar>() {
    let (zero, one, max, tiny) = (F::zero(), F::one(), F::max_value(), tiny::<F>());
    let half = number::<F>(0.5);
    // The largest rates do not overflow on the way, the smallest are rounded once: half of tiny is a tie, to even.
    assert_eq!([0, 1, 2].map(schedule::linear(max, zero, 2).unwrap()), [max, max * half, zero]);
    assert_eq!([0, 1, 2].map(schedule::linear(max, max, 2).unwrap()), [max; 3]);
    assert_eq!([0, 1, 2].map(schedule::cosine(zero, max, 2).unwrap()), [zero, max * half, max]);
    assert_eq!([0, 1, 2].map(schedule::polynomial(max, zero, 1, 2).unwrap()), [max, max * half, zero]);
    assert_eq!([0, 1, 2].map(schedule::linear(zero, tiny, 2).unwrap()), [zero, zero, tiny]);
    assert_eq!([0, 1, 2].map(schedule::cosine(tiny * number(3.0), zero, 2).unwrap())[1], tiny * number(2.0));
    assert_eq!([0, 1, 2].map(schedule::exponential(max, half).unwrap()), [max, max * half, max * half * half]);

    // Factors: 0^0 is 1, 1 stays 1, and a power below the smallest f64 is 0.
    assert_eq!([0, 1, u64::MAX].map(schedule::exponential(one, zero).unwrap()), [one, zero, zero]);
    assert_eq!([0, 1, u64::MAX].map(schedule::exponential(tiny, one).unwrap()), [tiny; 3]);
    assert_eq!([0, 1].map(schedule::exponential(one, tiny).unwrap()), [one, tiny]);
    assert_eq!([500, u64::MAX].map(schedule::exponential(max, tiny).unwrap()), [zero; 2]);

    // Steps: the first, the last that a u64 counts, and ramps over all of them.
    let last = u64::MAX;
    assert_eq!([0, last].map(schedule::linear(zero, one, last).unwrap()), [zero, one]);
    assert_eq!([0, last].map(schedule::cosine(one, half, last).unwrap()), [one, half]);
    assert_eq!([0, last].map(schedule::polynomial(one, half, u32::MAX, last).unwrap()), [one, half]);
    assert_eq!([0, last - 1, last].map(schedule::step_decay(one, half, last).unwrap()), [one, one, half]);
    assert_eq!([0, 1, 2, last].map(schedule::one_cycle(zero, one, half, 1, 1).unwrap()), [zero, one, half, half]);
    assert_eq!([0, last].map(schedule::cosine_restarts(one, half, last, last).unwrap()), [one; 2]);
}

#[test]
fn schedules_in_every_type() {
    schedules::<f32>();
    schedules::<f64>();
    schedules::<f16>();
    schedules::<bf16>();
}

/// A power below f64's smallest is 0, and so is the rate, though their product would have been 2^-100.
#[test]
fn a_power_below_f64_is_zero() {
    let schedule = schedule::exponential(2.0_f64.powi(1000), 0.5).unwrap();
    assert_eq!([1074, 1075, 1100].map(schedule), [2.0_f64.powi(-74), 0.0, 0.0]);
}

// Indices -------------------------------------------------------------------------------------------------------------

#[test]
fn one_sample() {
    for seed in [0, 1, u64::MAX] {
        let batcher = Batcher::new(1, 1, seed).unwrap().drop_last().unwrap();
        assert_eq!((batcher.batches_per_epoch(), batcher.samples_per_epoch()), (1, 1));
        for epoch in [0, 1, u64::MAX] {
            assert_eq!(batcher.epoch(epoch).iter().collect::<Vec<_>>(), [&[0]]);
        }
        let mut stream = batcher.stream();
        for epoch in 1..4 {
            assert_eq!(stream.next_batch(), Some(&[0][..]));
            assert_eq!((stream.position().epoch(), stream.position().batch()), (epoch, 0));
        }
        assert_eq!(batcher.shard(0, 1).unwrap().of(&[7]), [7]);
    }
    let mut two: Vec<_> = (0..64).map(|epoch| Batcher::new(2, 2, 1).unwrap().epoch(epoch).indices().to_vec()).collect();
    two.sort();
    two.dedup();
    assert_eq!(two, [[0, 1], [1, 0]]);
}

#[test]
fn the_last_position() {
    let batcher = Batcher::new(10, 4, u64::MAX).unwrap();
    let end = batcher.position(u64::MAX, 3).unwrap(); // there is no epoch after it
    assert_eq!((end.epoch(), end.batch()), (u64::MAX, 3));
    let mut stream = batcher.resume(end).unwrap();
    assert_eq!(stream.next_batch(), None);
    assert_eq!(stream.position(), end);
    let error = batcher.position(u64::MAX, usize::MAX).unwrap_err();
    assert_eq!(error.to_string(), format!("batch is {}, expected at most batches_per_epoch = 3", usize::MAX));
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
fn permutations_of_the_last_seed_and_epoch() {
    for len in [Permutation::MIN_LEN, Permutation::MAX_LEN] {
        let order = Permutation::new(len, u64::MAX, u64::MAX).unwrap();
        for position in [0, 1, len - 1] {
            let sample = order.get(position).unwrap();
            assert!(sample < len && order.position(sample) == Some(position));
        }
        let mut out = [0];
        assert_eq!(order.batch(len - 1, &mut out).map(|batch| batch[0]), order.get(len - 1));
        assert_eq!(order.batch(len, &mut out), None);
    }
}

#[test]
fn rows_of_nothing() {
    let mut out = vec![7];
    let error = gather(&[], 3, &[0], &mut out).unwrap_err();
    assert_eq!(error.to_string(), "index in batch is 0, expected below the number of rows = 0");
    let error = gather(&[1, 2], 3, &[], &mut out).unwrap_err();
    assert_eq!(error.to_string(), "length of rows is 2, expected a multiple of row_len = 3");
    let error = gather(&[1, 2], usize::MAX, &[0], &mut out).unwrap_err();
    assert_eq!(error.to_string(), format!("length of rows is 2, expected a multiple of row_len = {}", usize::MAX));
    assert_eq!(out, [7]);
    gather(&[1, 2], 2, &[], &mut out).unwrap();
    assert_eq!(out, []);
    gather(&[1, 2], 1, &[1, 1], &mut out).unwrap();
    assert_eq!(out, [2, 2]);
}
