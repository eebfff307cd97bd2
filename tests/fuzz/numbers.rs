//! Constructors and setters accept exactly the numbers that their documentation allows. An error names the number, and
//! nothing has changed.
#![no_main]

mod common;

use arbitrary::Arbitrary;
use common::{FORMS, MOMENTA, Number, RATES, Scalar, decays, holds};
use gradstep::{Accumulator, Adam, Error, Momentum, MomentumRule, Optimizer, Sgd, WeightDecay};
use half::{bf16, f16};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    rate: Number,
    momentum: Number,
    decay: Number,
    len: Len,
    set: Number,
}

/// Lengths in between are left out, since Linux promises more memory than there is, and zeroing it takes it.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Len {
    Short(u8),
    Huge(u64),
}

fuzz_target!(|input: Input| {
    check::<f32>(&input);
    check::<f64>(&input);
    check::<f16>(&input);
    check::<bf16>(&input);
});

fn check<F: Scalar>(input: &Input) {
    let rate_holds = |rate| holds::<F>(rate, RATES);
    let momentum_holds = |momentum| holds::<F>(momentum, MOMENTA);
    let [rate, momentum, strength, set] =
        [input.rate, input.momentum, input.decay, input.set].map(|number| number.setting::<F>());
    let (len, fits) = match input.len {
        Len::Short(len) => (usize::from(len), true),
        Len::Huge(len) => ((len | 1 << 48) as usize, false),
    };

    let accumulator = Accumulator::new(len);
    assert_eq!(accumulator.is_ok(), fits);
    let sgd = Sgd::<F>::new(rate);
    taken(&sgd, "learning_rate", rate, rate_holds(rate));
    let made = Momentum::<F>::new(rate, momentum, len);
    if rate_holds(rate) && momentum_holds(momentum) && !fits {
        assert_eq!(made, Err(Error::Memory { name: "velocity", len }));
    } else if rate_holds(rate) {
        taken(&made, "momentum", momentum, momentum_holds(momentum));
    } else {
        taken(&made, "learning_rate", rate, false);
    }
    let [beta2, eps] = [set, strength];
    let adam = Adam::<F>::with_settings(rate, [momentum, beta2], eps, len);
    let settings = [
        ("learning_rate", rate, rate_holds(rate)),
        ("beta1", momentum, momentum_holds(momentum)),
        ("beta2", beta2, momentum_holds(beta2)),
        ("eps", eps, rate_holds(eps) && eps > 0.0),
    ];
    match settings.into_iter().find(|&(.., holds)| !holds) {
        Some((name, value, _)) => drop(taken(&adam, name, value, false)),
        None if !fits => assert_eq!(adam, Err(Error::Memory { name: "m", len })),
        None => {
            let mut adam = adam.unwrap();
            assert_eq!((adam.learning_rate(), adam.betas(), adam.eps()), (rate, [momentum, beta2], eps));
            set_rate(&mut adam, set, rate_holds(set));
            taken(&adam.set_betas([momentum, rate]), "beta2", rate, momentum_holds(rate));
            taken(&adam.set_weight_decay(WeightDecay::Coupled(rate)), "weight_decay", rate, true);
        }
    }
    for decay in decays(strength) {
        let holds = decay == WeightDecay::None || rate_holds(strength);
        if let Ok(sgd) = &sgd {
            let mut sgd = taken(&sgd.clone().with_weight_decay(decay), "weight_decay", strength, holds);
            sgd.iter_mut().for_each(|sgd| set_rate(sgd, set, rate_holds(set)));
        }
        for form in FORMS {
            let rule = MomentumRule { learning_rate: rate, momentum, form, weight_decay: decay };
            stepped_by::<F>(&rule, rate_holds(rate) && momentum_holds(momentum) && holds);
            let Ok(made) = made.clone().map(|made| made.with_form(form)) else { continue };
            let made = taken(&made.with_weight_decay(decay), "weight_decay", strength, holds);
            assert_eq!(made, Momentum::with_rule(rule, len).ok());
            let Some(mut made) = made else { continue };
            assert_eq!((made.rule(), made.velocity()), (&rule, &vec![F::zero(); len][..]));
            set_rate(&mut made, set, rate_holds(set));
            taken(&made.set_momentum(set), "momentum", set, momentum_holds(set));
            let momentum = if momentum_holds(set) { set } else { momentum };
            assert_eq!(made.rule(), &MomentumRule { momentum, ..rule });
            taken(&made.set_weight_decay(WeightDecay::Coupled(set)), "weight_decay", set, rate_holds(set));
            let weight_decay = if rate_holds(set) { WeightDecay::Coupled(set) } else { decay };
            assert_eq!(made.rule(), &MomentumRule { momentum, weight_decay, ..rule });
        }
    }
}

/// A rule without an optimizer accepts the same settings.
fn stepped_by<F: Scalar>(rule: &MomentumRule, holds: bool) {
    let (mut params, mut velocity) = ([F::one()], [F::one()]);
    assert_eq!(rule.step(&mut params, &mut velocity, &[F::one()]).is_ok(), holds);
    assert!(holds || (params, velocity) == ([F::one()], [F::one()]));
}

/// Asserts that `result` is `Ok` exactly if `holds` is true, and that an error names the number.
fn taken<T: Clone>(result: &Result<T, Error>, name: &str, value: f64, holds: bool) -> Option<T> {
    assert_eq!(result.is_ok(), holds, "{name} {value:?}");
    if let Err(Error::Number { name: named, value: given, .. } | Error::Rounded { name: named, value: given, .. }) =
        result
    {
        assert_eq!((*named, given.bits()), (name, value.bits()));
    } else if let Err(error) = result {
        panic!("{error}");
    }
    result.as_ref().ok().cloned()
}

fn set_rate<F: Scalar, O: Optimizer<F> + Clone + PartialEq + std::fmt::Debug>(
    optimizer: &mut O,
    set: f64,
    holds: bool,
) {
    let before = optimizer.clone();
    taken(&optimizer.set_learning_rate(set), "learning_rate", set, holds);
    assert_eq!(optimizer.learning_rate(), if holds { set } else { before.learning_rate() });
    optimizer.set_learning_rate(before.learning_rate()).unwrap();
    assert_eq!(*optimizer, before);
}
