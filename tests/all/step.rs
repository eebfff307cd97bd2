//! `Step`: what an update rule gets, and `apply` against a plain loop.

use gradstep::{Error, Grads, Optimizer, Step};

use crate::common::{LENS, bits, numbers, rules::lars, says};

#[test]
fn lengths() {
    let (mut params, grads) = ([1.0_f32, 2.0], [3.0; 3]);
    says(Step::new(&mut params, Grads::new(&grads)), "grads has length 3, expected 2, the length of params");
    says(Step::new(&mut params, Grads::new(&grads[..1])), "grads has length 1, expected 2, the length of params");
    let step = Step::new(&mut params, Grads::new(&grads[..2]).scaled(0.5)).unwrap();
    assert_eq!((step.len(), step.is_empty(), step.grads().len(), step.grads().scale()), (2, false, 2, 0.5));
    assert!(Step::new(&mut [], Grads::<f64>::new(&[])).unwrap().is_empty());
}

/// With two slices of state, plain and scaled, on slices that begin anywhere.
#[test]
fn apply_is_a_plain_loop() {
    let rule = |p: f32, [a, b]: [f32; 2], g: f32| (p - a * g, [a + b, b * g - p]);
    for len in LENS {
        for (offset, scale) in [(0, None), (1, Some(1.0)), (3, Some(0.3))] {
            let mut slices = [1, 2, 3, 4].map(|salt| numbers::<f32>(offset + len, salt));
            let [p, a, b, g] = slices.each_ref().map(|slice| slice[offset..].to_vec());
            let scaled = |g: f32| scale.map_or(g, |scale| (scale * f64::from(g)) as f32);
            let expected: Vec<_> = (0..len).map(|i| rule(p[i], [a[i], b[i]], scaled(g[i]))).collect();
            let [params, first, second, grads] = slices.each_mut().map(|slice| &mut slice[offset..]);
            let grads = Grads::new(grads);
            let step = Step::new(params, scale.map_or(grads, |scale| grads.scaled(scale))).unwrap();
            step.apply([first, second], rule).unwrap();
            let got = |slice: usize| bits(&slices[slice][offset..]);
            let want = |value: fn(&(f32, [f32; 2])) -> f32| bits(&expected.iter().map(value).collect::<Vec<_>>());
            assert!(got(0) == want(|new| new.0), "params, {len}, {scale:?}");
            assert!(got(1) == want(|new| new.1[0]) && got(2) == want(|new| new.1[1]), "state, {len}, {scale:?}");
        }
    }
}

#[test]
fn state_of_another_length_changes_nothing() {
    let (mut params, grads, mut state) = ([1.0_f32, 2.0], [1.0; 2], [0.0; 3]);
    for scale in [1.0, 0.5] {
        let step = Step::new(&mut params, Grads::new(&grads).scaled(scale)).unwrap();
        let applied = step.apply([&mut state], |p, [s], g| (p - g, [s + g]));
        says(applied, "state has length 3, expected 2, the length of params");
        let step = Step::new(&mut params, Grads::new(&grads).scaled(scale)).unwrap();
        let (right, wrong) = state.split_at_mut(2); // the first fits, the second does not
        let applied = step.apply([right, wrong], |p, [s, t], g| (p - g, [s + g, t]));
        says(applied, "state has length 1, expected 2, the length of params");
    }
    assert_eq!((params, state), ([1.0, 2.0], [0.0; 3]));
}

/// For a rule that owns its loop.
#[test]
fn slices_only_as_they_are() {
    let (mut params, grads) = ([1.0_f64, 2.0], [3.0, 4.0]);
    let (p, g) = Step::new(&mut params, Grads::new(&grads)).unwrap().into_slices().unwrap();
    p[0] = g[1];
    assert_eq!((&*p, g), (&[4.0, 2.0][..], &[3.0, 4.0][..]));
    let step = Step::new(&mut params, Grads::new(&grads).scaled(1.0)).unwrap();
    assert_eq!(step.into_slices(), Err(Error::NotASlice));
}

/// η |θ| / |g| = 1/2 · 5 / 2.
#[test]
fn a_rule_that_owns_its_loop_steps() {
    let mut rule: Box<dyn Optimizer<f32>> = Box::new(lars(0.5));
    let mut params = [3.0, 4.0];
    rule.step(&mut params, &[0.0, 2.0]).unwrap();
    rule.step_with(&mut params, Grads::new(&[1.5, 2.0])).unwrap();
    assert_eq!((params[0], rule.steps()), (3.0 - 0.5 * 11.25_f32.sqrt() / 2.5 * 1.5, 2));
    says(rule.step(&mut params, &[1.0]), "grads has length 1, expected 2, the length of params");
}
