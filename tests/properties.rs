//! What holds for all inputs, for every optimizer.

use approx::assert_relative_eq;
use gradstep::{Form, Momentum, Optimizer, Sgd};
use proptest::{prelude::*, test_runner::RngSeed};

mod all;
use all::optimizers;

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

/// A start and some gradients, all of one length.
fn starts_and_grads() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>)> {
    (1_usize..40).prop_flat_map(|len| {
        let values = || prop::collection::vec(-100.0..100.0, len);
        (values(), prop::collection::vec(values(), 1..20))
    })
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn parts_of_a_velocity_step_as_the_whole((start, grads) in starts_and_grads(), cut in 0.0..1.0) {
        for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
            let momentum = |len| Momentum::new(0.125, 0.75_f64, len).unwrap().with_form(form);
            let (mut whole, mut params) = (momentum(start.len()), start.clone());
            whole.step(&mut params, &grads[0]).unwrap();
            let cut = (cut * start.len() as f64) as usize;
            let mut halves = params.clone();
            for range in [0..cut, cut..start.len()] {
                let velocity = &whole.velocity()[range.clone()];
                let mut part = momentum(range.len()).with_velocity(velocity, whole.steps()).unwrap();
                part.step(&mut halves[range.clone()], &grads[0][range]).unwrap();
                prop_assert_eq!(part.steps(), 2);
            }
            whole.step(&mut params, &grads[0]).unwrap();
            prop_assert_eq!(bits(&halves), bits(&params));
        }
    }

    #[test]
    fn velocity_is_the_weighted_sum_of_all_earlier_gradients((start, grads) in starts_and_grads()) {
        let (learning_rate, momentum) = (0.125, 0.75_f64);
        let mut optimizer = Momentum::new(learning_rate, momentum, start.len()).unwrap();
        let mut params = start;
        for (k, g) in grads.iter().enumerate() {
            optimizer.step(&mut params, g).unwrap();
            for (i, m) in optimizer.velocity().iter().enumerate() {
                // m_k = -η Σ_j λ^(k-j) g_j
                let terms = (0..=k).map(|j| -learning_rate * momentum.powi((k - j) as i32) * grads[j][i]);
                assert_relative_eq!(*m, terms.sum::<f64>(), epsilon = 1e-10);
            }
        }
    }

    #[test]
    fn without_momentum_every_form_is_sgd((start, grads) in starts_and_grads()) {
        for decay in all::DECAYS {
            for form in all::FORMS {
                let momentum = Momentum::new(all::LEARNING_RATE, 0.0, start.len()).unwrap();
                let mut momentum = momentum.with_form(form).with_weight_decay(decay).unwrap();
                let mut sgd = Sgd::new(all::LEARNING_RATE).unwrap().with_weight_decay(decay).unwrap();
                let (mut a, mut b) = (start.clone(), start.clone());
                for g in &grads {
                    momentum.step(&mut a, g).unwrap();
                    sgd.step(&mut b, g).unwrap();
                }
                // Equal as numbers, so to the bit but for the sign of a zero.
                prop_assert_eq!(&a, &b);
            }
        }
    }

    #[test]
    fn a_slice_in_parts_is_the_whole((start, grads) in starts_and_grads(), cut in 0.0..1.0) {
        let cut = (cut * start.len() as f64) as usize;
        let whole = optimizers(start.len());
        let (left, right) = (optimizers(cut), optimizers(start.len() - cut));
        for (((name, mut whole), (_, mut left)), (_, mut right)) in whole.into_iter().zip(left).zip(right) {
            let (mut a, mut b) = (start.clone(), start.clone());
            for g in &grads {
                whole.step(&mut a, g).unwrap();
                left.step(&mut b[..cut], &g[..cut]).unwrap();
                right.step(&mut b[cut..], &g[cut..]).unwrap();
            }
            prop_assert_eq!(bits(&a), bits(&b), "{}", name);
        }
    }

    #[test]
    fn an_error_changes_nothing((start, grads) in starts_and_grads(), other in 0_usize..40) {
        prop_assume!(other != start.len());
        for ((name, mut disturbed), (_, mut left_alone)) in optimizers(start.len()).into_iter().zip(optimizers(start.len())) {
            let (mut a, mut b) = (start.clone(), start.clone());
            for g in &grads {
                // Refused: gradients, then parameters too, of another length, and learning rates that are none.
                let before = bits(&a);
                prop_assert!(disturbed.step(&mut a, &vec![1.0; other]).is_err(), "{}", name);
                for bad in [-1.0, f64::NAN, f64::INFINITY] {
                    prop_assert!(disturbed.set_learning_rate(bad).is_err(), "{}", name);
                }
                prop_assert_eq!(bits(&a), before, "{}", name);
                disturbed.step(&mut a, g).unwrap();
                left_alone.step(&mut b, g).unwrap();
                prop_assert_eq!(bits(&a), bits(&b), "{}", name);
            }
        }
    }

    #[test]
    fn reset_is_as_new((start, grads) in starts_and_grads()) {
        for ((name, mut used), (_, mut new)) in optimizers(start.len()).into_iter().zip(optimizers(start.len())) {
            let (mut a, mut b) = (start.clone(), start.clone());
            used.step(&mut [0.5].repeat(start.len()), &grads[0]).unwrap();
            used.reset();
            for g in &grads {
                used.step(&mut a, g).unwrap();
                new.step(&mut b, g).unwrap();
            }
            prop_assert_eq!(bits(&a), bits(&b), "{}", name);
        }
    }
}
