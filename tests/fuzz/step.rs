//! Every step gives the bits of a plain loop over the formulas: all forms and decays, any values and lengths, and
//! slices that begin anywhere. Long slices, for which there are vectors and threads, repeat a pattern.
#![no_main]

mod common;
#[path = "../common/oracle.rs"]
mod oracle;

use std::fmt::Debug;

use arbitrary::Arbitrary;
use common::{Number, Scalar, bits, decays, form, seldom, tiled};
use gradstep::{Adam, Grads, Momentum, MomentumRule, Optimizer, Sgd, elementwise, elementwise_rows};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug, Hash)]
struct Input {
    wide: bool,
    rule: u8,
    decay: u8,
    rate: Number,
    momentum: Number,
    strength: Number,
    scale: Number,
    len: u16,
    around: u8,
    offset: u8,
    wrong_len: i8,
    params: Vec<Number>,
    grads: Vec<Number>,
}

/// Lengths from which on the loop works in another way: vectors, their alignment, threads and their parts.
const BOUNDARIES: [usize; 6] = [32, 256, 1 << 16, 1 << 17, 3 << 16, 1 << 18];

fuzz_target!(|input: Input| if input.wide { check::<f64>(&input) } else { check::<f32>(&input) });

fn check<F: Scalar>(input: &Input) {
    let [rate, momentum, strength] = [input.rate, input.momentum, input.strength].map(|number| number.setting::<F>());
    let decay = decays(strength)[usize::from(input.decay % 3)];
    let form = form(input.rule);
    // Only a few inputs have a long slice, which takes milliseconds.
    let len = if seldom(input) {
        (BOUNDARIES[usize::from(input.around) % 6] + usize::from(input.len % 128)).saturating_sub(64)
    } else {
        usize::from(input.len % 600)
    };
    let offset = usize::from(input.offset % 64);
    let start: Vec<F> = tiled(&input.params, offset + len);
    let grads: Vec<F> = tiled(&input.grads, offset + len);

    // The second step scales its gradients.
    let scale = input.scale.get::<f64>();
    let scaled: Vec<F> = start[offset..].iter().map(|g| F::nearest(scale * g.to_f64().unwrap())).collect();
    let (mut expected, mut velocity) = (start[offset..].to_vec(), vec![F::zero(); len]);
    for g in [&grads[offset..], &scaled] {
        oracle::step(&mut expected, &mut velocity, g, form, decay, rate, momentum);
    }

    let mut params = start.clone();
    match form {
        None => {
            let Ok(sgd) = Sgd::new(rate).and_then(|sgd| sgd.with_weight_decay(decay)) else { return };
            two_steps(sgd, input, &mut params[offset..], &grads[offset..], Grads::new(&start[offset..]).scaled(scale));
        }
        Some(form) => {
            let rule = MomentumRule { learning_rate: rate, momentum, form, weight_decay: decay };
            let Ok(momentum) = Momentum::with_rule(rule, len) else { return };
            let second = Grads::new(&start[offset..]).scaled(scale);
            let stepped = two_steps(momentum, input, &mut params[offset..], &grads[offset..], second);
            // The rule alone, on the caller's velocity.
            let (mut own, mut own_velocity) = (start[offset..].to_vec(), vec![F::zero(); len]);
            for g in [&grads[offset..], &scaled] {
                rule.step(&mut own, &mut own_velocity, g).unwrap();
            }
            assert!(bits(&own) == bits(&expected) && bits(&own_velocity) == bits(&velocity), "rule");
            assert!(bits(stepped.velocity()) == bits(&velocity), "velocity");
        }
    }
    assert!(bits(&params[offset..]) == bits(&expected), "params");
    assert!(bits(&params[..offset]) == bits(&start[..offset]), "params before the slice");

    // Adam, with the momentum and the strength as β, from any step on.
    if let Ok(adam) =
        Adam::with_settings(rate, [momentum, strength], 1e-8, len).and_then(|adam| adam.with_weight_decay(decay))
    {
        let (mut m, mut v) = (grads[offset..].to_vec(), start[offset..].to_vec());
        v.iter_mut().for_each(|v| *v = v.abs());
        let before = u32::from(input.around);
        let adam = adam.with_state(&m, &v, before.into()).unwrap();
        let (mut params, mut expected) = (start.clone(), start[offset..].to_vec());
        for (t, g) in (before + 1..).zip([&grads[offset..], &scaled]) {
            let settings = (rate, [momentum, strength], 1e-8);
            oracle::adam(&mut expected, [&mut m, &mut v], g, decay, settings, t);
        }
        let second = Grads::new(&start[offset..]).scaled(scale);
        let adam = two_steps(adam, input, &mut params[offset..], &grads[offset..], second);
        // For a β that is nearer to 1, the crate's 1 - βᵗ may be wrong in its last two bits, and the reference's is
        // not.
        let near_one = [momentum, strength].iter().any(|beta| 1.0 - beta < 2.0_f64.powi(-20));
        assert!(near_one || bits(&params[offset..]) == bits(&expected), "Adam's params");
        assert!(bits(adam.m()) == bits(&m) && bits(adam.v()) == bits(&v), "Adam's state");
    }

    check_rows(input, &start);

    // An own rule with two states, each of which depends on more than itself.
    let (mut a, mut b, mut c) = (start.clone(), grads.clone(), start.clone());
    elementwise(&mut a[offset..], [&mut b[offset..], &mut c[offset..]], &grads[offset..], |p, [s, t], g| {
        (s * g, [t + p, p - g])
    })
    .unwrap();
    for i in offset..start.len() {
        let (p, s, t, g) = (start[i], grads[i], start[i], grads[i]);
        assert_eq!([a[i].bits(), b[i].bits(), c[i].bits()], [(s * g).bits(), (t + p).bits(), (p - g).bits()]);
    }
}

/// Rows of a table, some of which may not exist.
fn check_rows<F: Scalar>(input: &Input, start: &[F]) {
    let (row_len, rows) = (usize::from(input.around % 9), [input.rule, input.decay].map(|row| usize::from(row % 8)));
    let (mut params, mut expected) = (start.to_vec(), start.to_vec());
    let grads: Vec<F> = tiled(&input.grads, row_len * rows.len() + usize::from(input.wrong_len == 7));
    let done = elementwise_rows(&mut params, [], row_len, &rows, &grads, |_, p, [], g| (p - g, []));
    let fits =
        row_len > 0 && start.len().is_multiple_of(row_len) && rows.iter().all(|&row| row < start.len() / row_len);
    assert_eq!(done.is_ok(), fits && input.wrong_len != 7);
    if done.is_ok() {
        for (k, row) in rows.into_iter().enumerate() {
            (0..row_len)
                .for_each(|i| expected[row * row_len + i] = expected[row * row_len + i] - grads[k * row_len + i]);
        }
    }
    assert!(bits(&params) == bits(&expected), "rows");
}

/// Takes a step with each gradient, and before it one that is rejected and must change nothing.
fn two_steps<F: Scalar, O: Optimizer<F> + Clone + Debug>(
    mut optimizer: O,
    input: &Input,
    params: &mut [F],
    first: &[F],
    second: Grads<F>,
) -> O {
    for grads in [Grads::new(first), second] {
        let wrong = params.len().saturating_add_signed(input.wrong_len.into());
        if wrong != params.len() && params.len() < 600 {
            let (before, state) = (bits(params), format!("{optimizer:?}"));
            optimizer.step(params, &vec![F::one(); wrong]).unwrap_err();
            let (mut ones, wrong) = (vec![F::one(); wrong], vec![F::one(); wrong]);
            optimizer.step_with(params, Grads::new(&wrong).scaled(0.5)).unwrap_err();
            optimizer.step_clipped(params, Grads::new(&wrong), 1.0).unwrap_err();
            if optimizer.state_len().is_some() {
                optimizer.check(Grads::new(&wrong)).unwrap_err();
                optimizer.step(&mut ones, &wrong).unwrap_err();
            }
            assert_eq!((bits(params), format!("{optimizer:?}")), (before, state));
        }
        optimizer.step_with(params, grads).unwrap();
    }
    optimizer
}
