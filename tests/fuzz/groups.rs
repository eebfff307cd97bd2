//! `ParamGroups` does to its tensors what each one's optimizer would do alone, all of them or none, whatever the names,
//! the lengths and the order of the calls.
#![no_main]

mod common;

use common::{Number, bits, tiled};
use gradstep::{Guard, Momentum, Optimizer, ParamGroups};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug)]
struct Input {
    names: [String; 4],
    calls: Vec<Call>,
}

/// Names by number, so that they come again.
#[derive(Arbitrary, Debug)]
enum Call {
    Insert { name: u8, len: u8, wrong_len: bool, rate: Number },
    Step { tensors: Vec<(u8, u8, u8)>, values: Vec<Number> },
    StepAll { values: Vec<Number>, swapped: bool },
    Scale(Number),
    Set(u8, Number),
    Freeze(u8),
    Unfreeze(u8),
    Reset,
    Restore { without: u8 },
}

#[derive(Clone)]
struct Tensor {
    name: String,
    optimizer: Guard<Momentum<f32>>,
    rate: f32,
    frozen: bool,
}

type Model = ParamGroups<f32, Guard<Momentum<f32>>>;

/// (name, params, grads)
type Given = Vec<(String, Vec<f32>, Vec<f32>)>;

fuzz_target!(|input: Input| {
    let (mut model, mut alone, mut factor, mut steps) = (Model::new(), Vec::<Tensor>::new(), 1.0_f32, 0);
    let name = |number: u8| input.names[usize::from(number) % 4].as_str();
    let takes = |rate: f32| rate.is_finite() && rate >= 0.0;
    for call in &input.calls {
        let before = model.clone();
        let find = |alone: &[Tensor], wanted: &str| alone.iter().position(|tensor| tensor.name == wanted);
        let done = match call {
            Call::Insert { name: number, len, wrong_len, rate } => {
                let (rate, len) = (rate.get::<f32>(), usize::from(*len));
                let Ok(momentum) = Momentum::new(rate, 0.5, len) else { continue };
                let holds = find(&alone, name(*number)).is_none() && !wrong_len && takes(rate * factor);
                let mut optimizer = Guard(momentum);
                let given = len + usize::from(*wrong_len);
                assert_eq!(model.insert(name(*number), given, optimizer.clone()).is_ok(), holds);
                if holds {
                    optimizer.set_learning_rate(rate * factor).unwrap();
                    alone.push(Tensor { name: name(*number).into(), optimizer, rate, frozen: false });
                }
                holds
            }
            Call::Step { tensors, values } => {
                let give = |&(number, params, grads): &(u8, u8, u8)| {
                    (name(number).into(), tiled(values, params.into()), tiled(values, grads.into()))
                };
                step(&mut model, &mut alone, &mut steps, tensors.iter().map(give).collect())
            }
            Call::StepAll { values, swapped } => {
                let give = |tensor: &Tensor| {
                    let len = tensor.optimizer.0.velocity().len();
                    (tensor.name.clone(), tiled(values, len), tiled(values, len))
                };
                let mut given: Given = alone.iter().map(give).collect();
                if *swapped {
                    given.reverse();
                }
                step(&mut model, &mut alone, &mut steps, given)
            }
            Call::Scale(by) => {
                let by = by.get::<f32>();
                let holds = takes(by) && alone.iter().all(|tensor| takes(tensor.rate * by));
                assert_eq!(model.scale_learning_rates(by).is_ok(), holds);
                if holds {
                    factor = by;
                    alone.iter_mut().for_each(|one| one.optimizer.set_learning_rate(one.rate * by).unwrap());
                }
                holds
            }
            Call::Set(number, rate) => {
                let (found, rate) = (find(&alone, name(*number)), rate.get::<f32>());
                let holds = found.is_some() && takes(rate) && takes(rate * factor);
                assert_eq!(model.set_learning_rate(name(*number), rate).is_ok(), holds);
                if let Some(found) = found.filter(|_| holds) {
                    alone[found].rate = rate;
                    alone[found].optimizer.set_learning_rate(rate * factor).unwrap();
                }
                holds
            }
            Call::Freeze(number) | Call::Unfreeze(number) => {
                let freeze = matches!(call, Call::Freeze(_));
                let found = find(&alone, name(*number));
                let done = if freeze { model.freeze(name(*number)) } else { model.unfreeze(name(*number)) };
                assert_eq!(done.is_ok(), found.is_some());
                found.into_iter().for_each(|found| alone[found].frozen = freeze);
                found.is_some()
            }
            Call::Reset => {
                model.reset();
                alone.iter_mut().for_each(|tensor| tensor.optimizer.reset());
                steps = 0;
                true
            }
            Call::Restore { without } => {
                let mut saved = Model::new();
                for (number, tensor) in alone.iter().enumerate().filter(|(number, _)| *number != usize::from(*without))
                {
                    let len = tensor.optimizer.0.velocity().len() + usize::from(*without == 9 && number == 0);
                    saved.insert(tensor.name.clone(), len, Guard(Momentum::new(0.0, 0.5, len).unwrap())).unwrap();
                }
                let holds = usize::from(*without) >= alone.len() && (*without != 9 || alone.is_empty());
                // Then all is as it was in `saved`; the model is put back, so that the calls go on.
                assert_eq!(model.restore(saved.clone()).is_ok(), holds);
                assert!(same(&model, if holds { &saved } else { &before }));
                model = before.clone();
                true
            }
        };
        assert!(done || same(&model, &before), "a refusal changed something");
        assert_eq!(model.steps(), steps);
        assert!(model.names().eq(alone.iter().map(|tensor| tensor.name.as_str())));
        for tensor in &alone {
            assert_eq!(format!("{:?}", model.get(&tensor.name).unwrap()), format!("{:?}", tensor.optimizer));
        }
    }
});

/// To the bit but for NaN's, which is not equal to itself.
fn same(a: &Model, b: &Model) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

/// One step of the model, and of each tensor alone if all that is given belongs; whether it does.
fn step(model: &mut Model, alone: &mut [Tensor], steps: &mut u64, mut given: Given) -> bool {
    let fits = |(name, params, grads): &(String, Vec<f32>, Vec<f32>)| {
        let Some(tensor) = alone.iter().find(|tensor| tensor.name == *name) else { return false };
        let len = tensor.optimizer.0.velocity().len();
        params.len() == len && grads.len() == len && grads.iter().all(|g| g.is_finite())
    };
    let count = |name: &str| given.iter().filter(|tensor| tensor.0 == name).count();
    let once = |tensor: &Tensor| count(&tensor.name) == 1 || (tensor.frozen && count(&tensor.name) == 0);
    let holds = given.iter().all(fits) && alone.iter().all(once);
    let mut expected = given.clone();
    if holds {
        for (name, params, grads) in &mut expected {
            let tensor = alone.iter_mut().find(|tensor| tensor.name == *name && !tensor.frozen);
            tensor.into_iter().for_each(|tensor| tensor.optimizer.step(params, grads).unwrap());
        }
        *steps += 1;
    }
    let mut tensors: Vec<_> = given.iter_mut().map(|(name, p, g)| (name.as_str(), &mut p[..], &g[..])).collect();
    assert_eq!(model.step(&mut tensors).is_ok(), holds);
    for (given, expected) in given.iter().zip(&expected) {
        assert_eq!(bits(&given.1), bits(&expected.1));
    }
    holds
}
