//! The same bits whatever the features, the number of threads and the alignment: every rule against a plain loop.
//!
//! The plain loops know no features, so two builds that both pass agree with each other.

use gradstep::{Form, Momentum, Optimizer, Sgd, WeightDecay, elementwise};
use num_traits::{Float, cast};

mod all;

/// Lengths around every boundary: vectors, their choice (32), their alignment (256), threads (2^17).
#[rustfmt::skip]
const LENS: [usize; 25] = [
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1000, 131_071, 131_072, 131_073, 300_007,
];

/// Numbers of all sizes and signs, with zeros of both signs and subnormals among them; reproducible.
fn numbers<F: Float>(len: usize, salt: u64) -> Vec<F> {
    let number = |i: u64| {
        let mut x = (i + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 29;
        let size = [1.0, 1e-3, 1e3, 1e-30, 1e-40, 0.0][(x % 6) as usize];
        cast::<f64, F>(size * ((x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0)).unwrap()
    };
    (0..len as u64).map(number).collect()
}

/// The rules once more, an element at a time, in the order of the formulas.
fn plain<F: Float>(params: &mut [F], velocity: &mut [F], grads: &[F], form: Option<Form>, decay: WeightDecay<F>) {
    let (eta, lambda): (F, F) = (cast(all::LEARNING_RATE).unwrap(), cast(all::MOMENTUM).unwrap());
    for i in 0..params.len() {
        let (mut theta, mut g) = (params[i], grads[i]);
        match decay {
            WeightDecay::None => {}
            WeightDecay::Coupled(w) => g = g + w * theta,
            WeightDecay::Decoupled(w) => theta = theta - (eta * w) * theta,
        }
        let m = &mut velocity[i];
        params[i] = match form {
            None => theta - eta * g,
            Some(Form::Classical) => {
                *m = lambda * *m - eta * g;
                theta + *m
            }
            Some(Form::Nesterov) => {
                *m = lambda * *m - eta * g;
                theta + (lambda * *m - eta * g)
            }
            Some(Form::PyTorch) => {
                *m = lambda * *m + g;
                theta - eta * *m
            }
            Some(Form::PyTorchNesterov) => {
                *m = lambda * *m + g;
                theta - eta * (g + lambda * *m)
            }
        };
    }
}

/// Equal to the bit; `integer_decode` alone would take +0 for -0.
fn same<F: Float>(a: &[F], b: &[F]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.integer_decode() == b.integer_decode() && a.is_sign_negative() == b.is_sign_negative())
}

/// A step or three, on slices that begin at every offset within a vector.
fn equals_the_plain_loop<F: Float + Send + Sync>() {
    let scalar = |w: f64| cast::<f64, F>(w).unwrap();
    for len in LENS {
        for offset in if len < 100 { 0..4 } else { 1..2 } {
            let w = scalar(all::DECAY);
            for decay in [WeightDecay::None, WeightDecay::Coupled(w), WeightDecay::Decoupled(w)] {
                for form in [None].into_iter().chain(all::FORMS.map(Some)) {
                    let mut params = numbers::<F>(offset + len, 1);
                    let (mut expected, mut velocity) = (params[offset..].to_vec(), vec![F::zero(); len]);
                    let (eta, lambda) = (scalar(all::LEARNING_RATE), scalar(all::MOMENTUM));
                    let mut sgd = Sgd::new(eta).unwrap().with_weight_decay(decay).unwrap();
                    let momentum = Momentum::new(eta, lambda, len).unwrap().with_form(form.unwrap_or_default());
                    let mut momentum = momentum.with_weight_decay(decay).unwrap();
                    for step in 0..if len < 100_000 { 3 } else { 1 } {
                        let grads = numbers::<F>(offset + len, 1000 + step);
                        let optimizer: &mut dyn Optimizer<F> = if form.is_none() { &mut sgd } else { &mut momentum };
                        optimizer.step(&mut params[offset..], &grads[offset..]).unwrap();
                        plain(&mut expected, &mut velocity, &grads[offset..], form, decay);
                    }
                    assert!(same(&params[offset..], &expected), "len {len}, offset {offset}, {form:?}");
                    assert!(same(momentum.velocity(), &velocity), "velocity, len {len}, offset {offset}, {form:?}");
                }
            }
        }
    }
}

#[test]
fn every_rule_in_f32() {
    equals_the_plain_loop::<f32>();
}

#[test]
fn every_rule_in_f64() {
    equals_the_plain_loop::<f64>();
}

#[test]
fn elementwise_with_two_slices_of_state() {
    for len in LENS {
        let (mut params, grads) = (numbers::<f32>(len, 1), numbers::<f32>(len, 2));
        let (mut first, mut second) = (numbers::<f32>(len, 3), numbers::<f32>(len, 4));
        let rule = |p: f32, [a, b]: [f32; 2], g: f32| (p - a * g, [a + b, b * g - p]);
        let expected: Vec<_> = (0..len).map(|i| rule(params[i], [first[i], second[i]], grads[i])).collect();
        elementwise(&mut params, [&mut first, &mut second], &grads, rule).unwrap();
        for (i, (p, [a, b])) in expected.into_iter().enumerate() {
            let bits = |x: [f32; 3]| x.map(f32::to_bits);
            assert_eq!(bits([params[i], first[i], second[i]]), bits([p, a, b]), "element {i} of {len}");
        }
    }
}

/// Literal bits, so that a build on another machine is held to the same ones.
#[test]
fn value_stability_of_a_thousand_steps() {
    let mut digests = Vec::new();
    for (_, mut optimizer) in all::optimizers(33) {
        let mut params = numbers::<f64>(33, 5);
        for step in 0..1000 {
            optimizer.step(&mut params, &numbers(33, 77 * step)).unwrap();
        }
        // FNV-1a over the bits.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        digests.push(params.iter().flat_map(|p| p.to_bits().to_le_bytes()).fold(0xCBF2_9CE4_8422_2325, fold));
    }
    let expected: [u64; 16] = [
        0x912D011E7AD15960,
        0x61F56DC1AFF1F645,
        0xBC689CC7F0D438F4,
        0xFE9520D4908BC001,
        0x68D28D8A59A3BBD1,
        0xBC086E98AD5A4FB2,
        0xDEE554E3E389D9BD,
        0xEFC6F43C6987B4A5,
        0xDE321D666A3C24AB,
        0x2953303E2812C583,
        0xD8E9F497EB0114EC,
        0xD6A45B7FE5E1E6F7,
        0x786CC68F7C65A99A,
        0xA1B27D08D5B74BB6,
        0x9DE7C43C8DA81588,
        0x61F56DC1AFF1F645,
    ];
    assert_eq!(digests, expected);
}
