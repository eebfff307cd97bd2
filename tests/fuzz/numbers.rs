//! Constructors and setters take exactly the numbers that their documentation names; a rejection names the number and
//! changes nothing.
#![no_main]

mod common;

use common::{Number, Scalar};
use gradstep::{Accumulator, Error, Form, Momentum, Optimizer, Sgd, WeightDecay};
use half::{bf16, f16};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug)]
struct Input {
    rate: Number,
    momentum: Number,
    decay: Number,
    len: Len,
    set: Number,
}

/// Lengths in between are left out: Linux lends memory without asking whether it is there, and zeroing it takes it.
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
    let rate_holds = |rate: F| rate.is_finite() && rate >= F::zero();
    let momentum_holds = |momentum: F| momentum >= F::zero() && momentum < F::one();
    let (rate, momentum, strength) = (input.rate.get::<F>(), input.momentum.get::<F>(), input.decay.get::<F>());
    let set = input.set.get::<F>();
    let (len, fits) = match input.len {
        Len::Short(len) => (usize::from(len), true),
        Len::Huge(len) => ((len | 1 << 48) as usize, false),
    };

    let accumulator = Accumulator::new(len);
    assert_eq!(accumulator.is_ok(), fits);
    let sgd = Sgd::new(rate);
    taken(&sgd, "learning_rate", rate, rate_holds(rate));
    let made = Momentum::new(rate, momentum, len);
    if rate_holds(rate) && momentum_holds(momentum) && !fits {
        assert_eq!(made, Err(Error::Memory { name: "velocity", len }));
    } else if rate_holds(rate) {
        taken(&made, "momentum", momentum, momentum_holds(momentum));
    } else {
        taken(&made, "learning_rate", rate, false);
    }
    for decay in [WeightDecay::None, WeightDecay::Coupled(strength), WeightDecay::Decoupled(strength)] {
        let holds = decay == WeightDecay::None || rate_holds(strength);
        if let Ok(sgd) = &sgd {
            let mut sgd = taken(&sgd.clone().with_weight_decay(decay), "weight_decay", strength, holds);
            sgd.iter_mut().for_each(|sgd| set_rate(sgd, set, rate_holds(set)));
        }
        for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
            let Ok(momentum) = made.clone().map(|made| made.with_form(form)) else { continue };
            let made = taken(&momentum.with_weight_decay(decay), "weight_decay", strength, holds);
            let Some(mut made) = made else { continue };
            assert_eq!((made.form(), made.velocity()), (form, &vec![F::zero(); len][..]));
            set_rate(&mut made, set, rate_holds(set));
            let before = made.clone();
            taken(&made.set_momentum(set), "momentum", set, momentum_holds(set));
            assert_eq!(made.momentum(), if momentum_holds(set) { set } else { before.momentum() });
            assert_eq!((made.learning_rate(), made.weight_decay()), (before.learning_rate(), decay));
        }
    }
}

/// That `result` is `Ok` exactly if it should be; if not, that it names the number.
fn taken<T: Clone, F: Scalar>(result: &Result<T, Error>, name: &str, value: F, holds: bool) -> Option<T> {
    assert_eq!(result.is_ok(), holds, "{name} {value:?}");
    if let Err(error) = result {
        let Error::Number { name: named, value: given, .. } = error else { panic!("{error}") };
        assert_eq!((*named, given.bits()), (name, value.to_f64().unwrap().bits()));
    }
    result.as_ref().ok().cloned()
}

fn set_rate<F: Scalar, O: Optimizer<F> + Clone + PartialEq + std::fmt::Debug>(optimizer: &mut O, set: F, holds: bool) {
    let before = optimizer.clone();
    taken(&optimizer.set_learning_rate(set), "learning_rate", set, holds);
    assert_eq!(optimizer.learning_rate(), if holds { set } else { before.learning_rate() });
    optimizer.set_learning_rate(before.learning_rate()).unwrap();
    assert_eq!(*optimizer, before);
}
