//! `ParamGroups` against a plain list and loops over the formulas: any names, lengths and calls, and any nesting of
//! this crate's optimizers, on f32, f16 and bf16. A call that returns `Err` must have changed nothing.
#![no_main]

mod common;
#[path = "../common/oracle.rs"]
mod oracle;

use std::any::Any;

use arbitrary::Arbitrary;
use common::{Number, RATES, Scalar, bits, decays, form, holds, tiled};
use gradstep::{
    Adam, Error, FiniteGuard, Grads, MasterCopy, Momentum, MomentumForm, Optimizer, ParamGroups, Restore, Sgd,
    WeightDecay, clip_scale, global_norm,
};
use half::{bf16, f16};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    params: u8,
    names: [String; 4],
    calls: Vec<Call>,
}

/// The calls give names by number, so that the same name comes again.
#[derive(Arbitrary, Debug)]
enum Call {
    Insert {
        name: u8,
        rule: u8,
        nesting: u8,
        decay: u8,
        len: u8,
        rate: Number,
        values: Vec<Number>,
    },
    /// (name, length of the parameters, length of the gradients)
    Step {
        tensors: Vec<(u8, u8, u8)>,
        values: Vec<Number>,
        how: How,
    },
    /// A step with the tensors of the model. The gradients are the values too, or ones.
    StepAll {
        values: Vec<Number>,
        ones: bool,
        rotated: u8,
        without_frozen: bool,
        how: How,
    },
    Scale(Number),
    Set(u8, Number),
    Freeze(u8),
    Unfreeze(u8),
    /// Freezes the tensors with these two names and unfreezes all others.
    FreezeWhere([u8; 2]),
    Remove(u8),
    Reset,
    Save,
    Restore,
    RestoreShared,
    /// Starts another model, into which the saved one may be restored.
    New,
}

#[derive(Arbitrary, Debug)]
enum How {
    Step,
    Each,
    /// To this norm.
    Clipped(Number),
}

fuzz_target!(|input: Input| match input.params % 3 {
    0 => check::<f32>(&input),
    1 => check::<f16>(&input),
    _ => check::<bf16>(&input),
});

// Optimizers whose state can be seen ----------------------------------------------------------------------------------

trait Visible<P>: Optimizer<P> {
    /// The velocity, or m and v, and the master copy.
    fn state(&self) -> Vec<f32>;
    fn copy(&self) -> Boxed<P>;
    fn any(&mut self) -> &mut dyn Any;
    fn swap(&mut self, other: &mut dyn Visible<P>) -> Result<(), Error>;
}

type Boxed<P> = Box<dyn Visible<P>>;

impl<P> Restore for Boxed<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        (**self).swap(&mut **other)
    }
}

impl<P> Clone for Boxed<P> {
    fn clone(&self) -> Self {
        (**self).copy()
    }
}

macro_rules! visible {
    ($([$($generics:tt)*] $optimizer:ty, $params:ty: $self:ident => $state:expr;)*) => {$(
        impl<$($generics)*> Visible<$params> for $optimizer {
            fn state(&$self) -> Vec<f32> {
                $state
            }

            fn copy(&self) -> Boxed<$params> {
                Box::new(self.clone())
            }

            fn any(&mut self) -> &mut dyn Any {
                self
            }

            fn swap(&mut self, other: &mut dyn Visible<$params>) -> Result<(), Error> {
                let saved = "another kind".to_string();
                let other = other.any().downcast_mut::<Self>();
                let other = other.ok_or(Error::Saved { name: "kind", saved, expected: String::new() })?;
                self.swap_state(other)
            }
        }
    )*};
}

visible! {
    [] Sgd<f32>, f32: self => vec![];
    [] Momentum<f32>, f32: self => self.velocity().to_vec();
    [] Adam<f32>, f32: self => [self.m(), self.v()].concat();
    [P: Scalar, O: Visible<P> + Restore + Clone + 'static] FiniteGuard<O>, P: self => self.0.state();
    [] MasterCopy<f16, Boxed<f32>>, f16: self => [self.optimizer().state(), self.master().to_vec()].concat();
    [] MasterCopy<bf16, Boxed<f32>>, bf16: self => [self.optimizer().state(), self.master().to_vec()].concat();
    [] Boxed<f32>, f32: self => (**self).state();
}

trait Params: Scalar {
    const HALF: bool;

    /// With a guard inside the master copy (bit 0 of `nesting`), outside (bit 1), or both.
    fn nest(rule: Boxed<f32>, nesting: u8, params: &[Self]) -> Result<Boxed<Self>, Error>;
}

impl Params for f32 {
    const HALF: bool = false;

    fn nest(rule: Boxed<f32>, nesting: u8, _: &[f32]) -> Result<Boxed<f32>, Error> {
        let rule: Boxed<f32> = if nesting & 1 == 1 { Box::new(FiniteGuard(rule)) } else { rule };
        Ok(if nesting & 2 == 2 { Box::new(FiniteGuard(rule)) } else { rule })
    }
}

macro_rules! half {
    ($half:ty) => {
        impl Params for $half {
            const HALF: bool = true;

            fn nest(rule: Boxed<f32>, nesting: u8, params: &[$half]) -> Result<Boxed<$half>, Error> {
                let copy = MasterCopy::new(f32::nest(rule, nesting & 1, &[])?, params)?;
                Ok(if nesting & 2 == 2 { Box::new(FiniteGuard(copy)) } else { Box::new(copy) })
            }
        }
    };
}

half!(f16);
half!(bf16);

// The reference -------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sgd,
    Momentum(MomentumForm),
    Adam,
}

impl Kind {
    /// The numbers of state per parameter.
    fn state(self) -> usize {
        match self {
            Kind::Sgd => 0,
            Kind::Momentum(_) => 1,
            Kind::Adam => 2,
        }
    }
}

#[derive(Clone)]
struct Tensor {
    name: String,
    kind: Kind,
    decay: WeightDecay,
    guarded: bool,
    /// Is equal where guards and a master copy are nested in the same way.
    nesting: u32,
    len: usize,
    /// The learning rate at factor 1.
    rate: f64,
    frozen: bool,
    steps: u64,
    /// The velocity, or m and v.
    state: Vec<f32>,
    master: Option<Vec<f32>>,
}

#[derive(Clone)]
struct Reference {
    tensors: Vec<Tensor>,
    factor: f64,
    steps: u64,
}

const LAMBDA: f64 = 0.5;

/// (name, params, grads)
type Given<P> = Vec<(String, Vec<P>, Vec<P>)>;

impl Tensor {
    /// Whether the optimizer has state, and so a length.
    fn has_len(&self) -> bool {
        self.kind != Kind::Sgd || self.master.is_some()
    }

    fn takes<P: Scalar>(&self, params: &[P], grads: &[P]) -> bool {
        params.len() == grads.len()
            && (params.len() == self.len || !self.has_len())
            && (!self.guarded || grads.iter().all(|g| g.is_finite()))
    }

    fn step<P: Params>(&mut self, factor: f64, params: &mut [P], grads: &[P], scale: f64) {
        let wide = |values: &[P]| values.iter().map(|value| value.to_f32().unwrap()).collect::<Vec<_>>();
        let mut theta = self.master.take().unwrap_or_else(|| wide(params));
        // The scaled gradients are not rounded to half precision.
        let grads: Vec<f32> = grads.iter().map(|g| f32::nearest(scale * g.to_f64().unwrap())).collect();
        let (decay, rate) = (self.decay, self.rate * factor);
        match self.kind {
            Kind::Sgd => oracle::step(&mut theta, &mut vec![0.0; grads.len()], &grads, None, decay, rate, LAMBDA),
            Kind::Momentum(form) => {
                oracle::step(&mut theta, &mut self.state, &grads, Some(form), decay, rate, LAMBDA);
            }
            Kind::Adam => {
                let settings = (rate, [0.9, 0.999], 1e-8);
                let (m, v) = self.state.split_at_mut(self.len);
                oracle::adam(&mut theta, [m, v], &grads, decay, settings, self.steps as u32 + 1);
            }
        }
        params.iter_mut().zip(&theta).for_each(|(param, &theta)| *param = P::nearest(theta.into()));
        self.master = P::HALF.then_some(theta);
        self.steps += 1;
    }
}

impl Reference {
    fn new() -> Self {
        Reference { tensors: vec![], factor: 1.0, steps: 0 }
    }

    fn find(&mut self, name: &str) -> Result<&mut Tensor, Rejected> {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).ok_or(Rejected("unknown", name.into()))
    }

    fn known<P: Params>(&mut self, given: &Given<P>, i: usize) -> Result<(), Rejected> {
        let name = &given[i].0;
        self.find(name)?;
        let twice = given[..i].iter().any(|before| before.0 == *name);
        if twice { Err(Rejected("duplicate", name.clone())) } else { Ok(()) }
    }

    fn takes<P: Params>(&mut self, given: &Given<P>, i: usize) -> Result<(), Rejected> {
        let (name, params, grads) = &given[i];
        if self.find(name)?.takes(params, grads) { Ok(()) } else { Err(Rejected("in", name.clone())) }
    }

    /// Returns the number by which the gradients are multiplied.
    fn check<P: Params>(&mut self, given: &Given<P>, how: &How) -> Result<f64, Rejected> {
        for i in 0..given.len() {
            self.known(given, i)?;
            if matches!(how, How::Each) {
                self.takes(given, i)?;
            }
        }
        let is_given = |name: &str| given.iter().any(|tensor| tensor.0 == name);
        if let Some(missing) = self.tensors.iter().find(|tensor| !tensor.frozen && !is_given(&tensor.name)) {
            return Err(Rejected("missing", missing.name.clone()));
        }
        let mut scale = 1.0;
        if let How::Clipped(max_norm) = how {
            if let Some(bad) = given.iter().find(|tensor| !tensor.2.iter().all(|g| g.is_finite())) {
                return Err(Rejected("in", bad.0.clone()));
            }
            let grads: Vec<_> = given.iter().map(|tensor| &tensor.2[..]).collect();
            scale = clip_scale(global_norm(&grads)?, max_norm.get())?;
        }
        (0..given.len()).try_for_each(|i| self.takes(given, i))?;
        Ok(scale)
    }

    fn step<P: Params>(&mut self, given: &mut Given<P>, how: &How) -> Result<(), Rejected> {
        let scale = self.check(given, how)?;
        for (name, params, grads) in given {
            let factor = self.factor;
            let tensor = self.find(name)?;
            if !tensor.frozen {
                tensor.step(factor, params, grads, scale);
            }
        }
        self.steps += 1;
        Ok(())
    }

    fn scale(&mut self, factor: f64) -> Result<(), Rejected> {
        if !RATES.contains(&factor) {
            return Err(Rejected("number", "factor".into()));
        }
        if let Some(tensor) = self.tensors.iter().find(|tensor| !is_rate(tensor.rate * factor)) {
            return Err(Rejected("in", tensor.name.clone()));
        }
        self.factor = factor;
        Ok(())
    }

    /// Takes over the number of steps and, for the tensors that both have, their state and whether they are frozen.
    fn restore_shared(&mut self, saved: &Reference) -> Result<(), Rejected> {
        let mut restored = self.clone();
        for own in &mut restored.tensors {
            let Some(saved) = saved.tensors.iter().find(|saved| saved.name == own.name) else { continue };
            let kind = |tensor: &Tensor| (tensor.nesting, tensor.kind, tensor.has_len().then_some(tensor.len));
            if kind(own) != kind(saved) {
                return Err(Rejected("in", own.name.clone()));
            }
            (own.state, own.master) = (saved.state.clone(), saved.master.clone());
            (own.steps, own.frozen) = (saved.steps, saved.frozen);
        }
        *self = Reference { steps: saved.steps, ..restored };
        Ok(())
    }

    fn sorted_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        names.sort();
        names
    }
}

/// All rules are over f32.
fn is_rate(rate: f64) -> bool {
    holds::<f32>(rate, RATES)
}

/// What was wrong, and with which tensor.
#[derive(Debug, PartialEq)]
struct Rejected(&'static str, String);

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownTensor { name } => Rejected("unknown", name),
            Error::DuplicateTensor { name } => Rejected("duplicate", name),
            Error::MissingTensor { name } => Rejected("missing", name),
            Error::InTensor { name, .. } => Rejected("in", name),
            Error::Number { name, .. } => Rejected("number", name.into()),
            Error::Overflow { name, .. } => Rejected("overflow", name),
            Error::Saved { .. } => Rejected("saved", String::new()),
            other => panic!("{other}"),
        }
    }
}

// Both ----------------------------------------------------------------------------------------------------------------

type Model<P> = ParamGroups<P, Boxed<P>>;

fn check<P: Params>(input: &Input) {
    let name = |number: u8| input.names[usize::from(number) % 4].as_str();
    let (mut model, mut reference) = (Model::<P>::new(), Reference::new());
    let mut saved = None;
    for call in &input.calls {
        let (done, expected) = match call {
            Call::Insert { name: number, .. } => {
                let Some((optimizer, tensor)) = make::<P>(call, name(*number)) else { continue };
                let done = model.insert(name(*number), optimizer);
                let expected = if reference.find(&tensor.name).is_ok() {
                    Err(Rejected("duplicate", tensor.name))
                } else if !is_rate(tensor.rate * reference.factor) {
                    Err(Rejected("in", tensor.name))
                } else {
                    reference.tensors.push(tensor);
                    Ok(())
                };
                (done, expected)
            }
            Call::Step { tensors, values, how } => {
                let give = |&(number, params, grads): &(u8, u8, u8)| {
                    (name(number).into(), tiled(values, params.into()), tiled(values, grads.into()))
                };
                step(&mut model, &mut reference, tensors.iter().map(give).collect(), how)
            }
            Call::StepAll { values, ones, rotated, without_frozen, how } => {
                let give = |tensor: &Tensor| {
                    let grads = if *ones { &[][..] } else { values };
                    (tensor.name.clone(), tiled(values, tensor.len), tiled(grads, tensor.len))
                };
                let left = reference.tensors.iter().filter(|tensor| !(*without_frozen && tensor.frozen));
                let mut given: Given<P> = left.map(give).collect();
                let by = usize::from(*rotated) % given.len().max(1);
                given.rotate_left(by);
                step(&mut model, &mut reference, given, how)
            }
            Call::Scale(factor) => {
                let factor = factor.setting::<f32>();
                (model.scale_learning_rates(factor), reference.scale(factor))
            }
            Call::Set(number, rate) => {
                let (rate, factor) = (rate.setting::<f32>(), reference.factor);
                let expected = reference.find(name(*number)).and_then(|tensor| {
                    if !RATES.contains(&rate) || !is_rate(rate * factor) {
                        return Err(Rejected("in", tensor.name.clone()));
                    }
                    tensor.rate = rate;
                    Ok(())
                });
                (model.set_learning_rate(name(*number), rate), expected)
            }
            Call::Freeze(number) | Call::Unfreeze(number) => {
                let freeze = matches!(call, Call::Freeze(_));
                let done = if freeze { model.freeze(name(*number)) } else { model.unfreeze(name(*number)) };
                (done, reference.find(name(*number)).map(|tensor| tensor.frozen = freeze))
            }
            Call::FreezeWhere(numbers) => {
                let frozen = numbers.map(name);
                model.freeze_where(|name| frozen.contains(&name));
                reference.tensors.iter_mut().for_each(|tensor| tensor.frozen = frozen.contains(&&*tensor.name));
                (Ok(()), Ok(()))
            }
            Call::Remove(number) => {
                let expected = reference.find(name(*number)).is_ok();
                assert_eq!(model.remove(name(*number)).is_some(), expected);
                reference.tensors.retain(|tensor| tensor.name != name(*number));
                (Ok(()), Ok(()))
            }
            Call::Reset => {
                model.reset();
                reference.steps = 0;
                for tensor in &mut reference.tensors {
                    tensor.state.fill(0.0);
                    tensor.steps = 0;
                }
                (Ok(()), Ok(()))
            }
            Call::Save => {
                saved = Some((model.clone(), reference.clone()));
                (Ok(()), Ok(()))
            }
            Call::Restore => {
                let Some((saved, of_saved)) = saved.clone() else { continue };
                let expected = if reference.sorted_names() == of_saved.sorted_names() {
                    reference.restore_shared(&of_saved)
                } else {
                    Err(Rejected("saved", String::new()))
                };
                (model.restore(saved), expected)
            }
            Call::RestoreShared => {
                let Some((saved, of_saved)) = saved.clone() else { continue };
                let not_in = |a: &Reference, b: &Reference| {
                    let names = a.tensors.iter().map(|tensor| tensor.name.clone());
                    names.filter(|name| !b.tensors.iter().any(|tensor| tensor.name == *name)).collect::<Vec<_>>()
                };
                let left_out = (not_in(&reference, &of_saved), not_in(&of_saved, &reference));
                let done = model.restore_shared(saved).map(|named| assert_eq!(named, left_out));
                (done, reference.restore_shared(&of_saved))
            }
            Call::New => {
                (model, reference) = (Model::new(), Reference::new());
                (Ok(()), Ok(()))
            }
        };
        assert_eq!(done.map_err(Rejected::from), expected);
        assert_same(&model, &reference);
    }
}

/// Creates an optimizer and its reference. Returns `None` if the learning rate is invalid.
fn make<P: Params>(call: &Call, name: &str) -> Option<(Boxed<P>, Tensor)> {
    let Call::Insert { rule, nesting, decay, len, rate, values, .. } = call else { return None };
    let kind = if rule % 6 == 5 { Kind::Adam } else { form(*rule).map_or(Kind::Sgd, Kind::Momentum) };
    let decay = decays(0.01)[usize::from(decay % 3)];
    let (len, nesting, rate) = (usize::from(*len), nesting % 4, rate.setting::<f32>());
    let rule: Boxed<f32> = match kind {
        Kind::Sgd => Box::new(Sgd::new(rate).ok()?.with_weight_decay(decay).unwrap()),
        Kind::Momentum(form) => {
            let momentum = Momentum::new(rate, LAMBDA, len).ok()?.with_form(form);
            Box::new(momentum.with_weight_decay(decay).unwrap())
        }
        Kind::Adam => Box::new(Adam::new(rate, len).ok()?.with_weight_decay(decay).unwrap()),
    };
    let params: Vec<P> = tiled(values, len);
    let tensor = Tensor {
        name: name.into(),
        kind,
        decay,
        guarded: nesting != 0,
        nesting: if P::HALF { nesting.into() } else { nesting.count_ones() },
        len,
        rate,
        frozen: false,
        steps: 0,
        state: vec![0.0; kind.state() * len],
        master: P::HALF.then(|| params.iter().map(|param| param.to_f32().unwrap()).collect()),
    };
    Some((P::nest(rule, nesting, &params).unwrap(), tensor))
}

fn step<P: Params>(
    model: &mut Model<P>,
    reference: &mut Reference,
    mut given: Given<P>,
    how: &How,
) -> (Result<(), Error>, Result<(), Rejected>) {
    let (mut expected, norm) = (given.clone(), global_norm(&given.iter().map(|tensor| &tensor.2).collect::<Vec<_>>()));
    let rejected = reference.step(&mut expected, how);
    let done = match how {
        How::Step => {
            let tensors = given.iter_mut().map(|(name, params, grads)| (name.as_str(), &mut params[..], &grads[..]));
            model.step(&mut tensors.collect::<Vec<_>>())
        }
        How::Each => {
            model.step_each(|visit| given.iter_mut().try_for_each(|(name, p, g)| visit(name, p, Grads::new(g))))
        }
        How::Clipped(max_norm) => {
            let tensors = given.iter_mut().map(|(name, p, g)| (name.as_str(), &mut p[..], Grads::new(g)));
            let clipped = model.step_clipped(&mut tensors.collect::<Vec<_>>(), max_norm.get());
            clipped.map(|found| assert_eq!(Ok(found), norm))
        }
    };
    for (given, expected) in given.iter().zip(&expected) {
        assert_eq!(bits(&given.1), bits(&expected.1));
    }
    (done, rejected)
}

fn assert_same<P: Params>(model: &Model<P>, reference: &Reference) {
    assert_eq!(model.steps(), reference.steps);
    assert!(model.names().eq(reference.tensors.iter().map(|tensor| tensor.name.as_str())));
    for tensor in &reference.tensors {
        let optimizer = model.get(&tensor.name).unwrap();
        let (rate, frozen) = (model.learning_rate(&tensor.name), model.is_frozen(&tensor.name));
        assert_eq!((rate.map(f64::to_bits), frozen), (Some(tensor.rate.to_bits()), Some(tensor.frozen)));
        let state = [&tensor.state[..], tensor.master.as_deref().unwrap_or(&[])].concat();
        assert_eq!(bits(&optimizer.state()), bits(&state));
        assert_eq!(optimizer.learning_rate().to_bits(), (tensor.rate * reference.factor).to_bits());
        assert_eq!((optimizer.steps(), optimizer.state_len()), (tensor.steps, tensor.has_len().then_some(tensor.len)));
    }
}
