//! gradstep, the bare loop and the peers, each with its own copy of the same data.
//!
//! What a step includes:
//! - gradstep, bare, descend, stochastic_optimizers: one call on slices that stand ready; the last owns its parameters.
//! - candle-optimisers: `step` with one `GradStore` made before. Its new tensors are part of its step.
//! - burn: `Optimizer::step` on a tensor, which is what `ModuleOptimizer` calls for each parameter; no module is walked
//!   and no `GradientsParams` made. It consumes the gradient: it is given a clone, which shares the data, so that burn
//!   writes the product with the learning rate to a new tensor.
//!
//! gradstep and bare take the classical form of momentum, the others PyTorch's; at one learning rate both give the same
//! parameters. descend has no f64, stochastic_optimizers no momentum.

use std::{error::Error, hint::black_box, rc::Rc};

use burn_core::tensor::{DType, Device, Element, Tensor, TensorData};
use burn_optim::{Optimizer as _, SgdConfig, momentum::MomentumConfig};
use candle_core::{Tensor as CandleTensor, Var, WithDType};
use candle_nn::Optimizer as _;
use candle_optimisers::esgd::{ParamsSGD, SGD};
use descend::Optimizer as _;
use gradstep::{Momentum, Optimizer, Sgd};
use num_traits::Float;
use stochastic_optimizers::{Optimizer as _, Parameters};

pub const LEARNING_RATE: f64 = 1e-3;

pub trait Contender<F> {
    fn steps(&mut self, count: usize);

    fn params(&self) -> Vec<F>;
}

pub type Contenders<F> = Vec<(&'static str, Box<dyn Contender<F>>)>;

/// What a contender owns, how it steps that, and where its parameters are.
struct Own<T, S, P> {
    own: T,
    step: S,
    params: P,
}

impl<F, T, S: FnMut(&mut T), P: Fn(&T) -> Vec<F>> Contender<F> for Own<T, S, P> {
    /// The loop is here and not at the caller, so that each step is called as its user would call it: directly.
    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            let this = black_box(&mut *self);
            (this.step)(&mut this.own);
        }
    }

    fn params(&self) -> Vec<F> {
        (self.params)(&self.own)
    }
}

fn contender<F: 'static, T: 'static>(
    own: T,
    step: impl FnMut(&mut T) + 'static,
    params: impl Fn(&T) -> Vec<F> + 'static,
) -> Box<dyn Contender<F>> {
    Box::new(Own { own, step, params })
}

/// What all of them can step, but descend.
pub trait Scalar: Float + WithDType + Element + Parameters<Scalar = Self> {
    fn descend(_: &Data<Self>, _momentum: Option<f64>) -> Option<Box<dyn Contender<Self>>> {
        None
    }
}

impl Scalar for f64 {}

impl Scalar for f32 {
    fn descend(data: &Data<f32>, momentum: Option<f64>) -> Option<Box<dyn Contender<f32>>> {
        let mut sgd = descend::Sgd::new(LEARNING_RATE as f32).with_momentum(momentum.unwrap_or(0.0) as f32);
        Some(data.slices(move |params, grads| sgd.step(params, grads)))
    }
}

pub fn scalar<F: Scalar>(value: f64) -> F {
    <F as WithDType>::from_f64(value)
}

pub struct Data<F> {
    pub start: Vec<F>,
    grads: Rc<Vec<F>>,
    /// Where in memory: another number puts vectors elsewhere.
    pub place: usize,
}

/// Moves what is allocated while it is alive.
fn gap(units: usize) -> Vec<u8> {
    vec![0; 16 * units]
}

impl<F: Scalar> Data<F> {
    /// No gradient is zero: every parameter must move.
    pub fn new(n: usize, place: usize) -> Self {
        let start = (0..n).map(|i| scalar((i % 5) as f64)).collect();
        let grads = (0..n).map(|i| scalar((i % 16) as f64 - 7.5)).collect();
        Data { start, grads: Rc::new(grads), place }
    }

    /// Whoever steps slices.
    fn slices(&self, mut step: impl FnMut(&mut [F], &[F]) + 'static) -> Box<dyn Contender<F>> {
        let own = (gap(17 * self.place), self.start.clone(), self.grads.clone());
        contender(own, move |(_, params, grads)| step(params, grads), |(_, params, _)| params.clone())
    }
}

#[inline(never)]
fn bare_sgd<F: Float>(params: &mut [F], grads: &[F], learning_rate: F) {
    for (p, &g) in params.iter_mut().zip(grads) {
        *p = *p - learning_rate * g;
    }
}

#[inline(never)]
fn bare_momentum<F: Float>(params: &mut [F], velocity: &mut [F], grads: &[F], learning_rate: F, momentum: F) {
    for ((p, m), &g) in params.iter_mut().zip(velocity).zip(grads) {
        *m = momentum * *m - learning_rate * g;
        *p = *p + *m;
    }
}

fn candle<F: Scalar>(data: &Data<F>, momentum: Option<f64>) -> candle_core::Result<Box<dyn Contender<F>>> {
    let tensor = |values: &[F]| CandleTensor::from_slice(values, values.len(), &candle_core::Device::Cpu);
    let var = Var::from_tensor(&tensor(&data.start)?)?;
    // The only way to a `GradStore` is a backward pass; what it found is then replaced.
    let mut grads = var.sum_all()?.backward()?;
    grads.insert(&var, tensor(&data.grads)?);
    let momentum = momentum.map(candle_optimisers::Momentum::Classical);
    let sgd = SGD::new(vec![var.clone()], ParamsSGD { lr: LEARNING_RATE, momentum, ..Default::default() })?;
    Ok(contender(
        (sgd, grads, var),
        |(sgd, grads, _)| sgd.step(grads).expect("candle steps"),
        |(_, _, var)| var.to_vec1().expect("a vector"),
    ))
}

fn burn<F: Scalar>(data: &Data<F>, momentum: Option<f64>) -> Box<dyn Contender<F>> {
    let dtype: DType = <F as Element>::dtype();
    let tensor = |values: &[F]| -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&Device::flex(), dtype))
    };
    let momentum = momentum.map(|momentum| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0));
    let sgd = SgdConfig::new().with_momentum(momentum).build();
    let grads = tensor(&data.grads);
    contender(
        // The parameters and the state are taken out and put back by a step.
        (Some(tensor(&data.start)), None),
        move |(params, state)| {
            let taken = params.take().expect("put back");
            let (new, new_state) = sgd.step(LEARNING_RATE, taken, grads.clone(), state.take());
            (*params, *state) = (Some(new), new_state);
        },
        |(params, _)| params.as_ref().expect("put back").to_data().try_to_vec().expect("the same dtype"),
    )
}

/// gradstep, the bare loop, the peers: in this order.
pub fn contenders<F: Scalar>(data: &Data<F>, momentum: Option<f64>) -> Result<Contenders<F>, Box<dyn Error>> {
    let learning_rate = scalar(LEARNING_RATE);
    let mut contenders = Contenders::new();
    let _gap = gap(21 * (data.place / 4));
    if let Some(lambda) = momentum {
        let momentum = scalar(lambda);
        let mut gradstep = Momentum::new(LEARNING_RATE, lambda, data.start.len())?;
        let mut velocity = vec![F::zero(); data.start.len()];
        contenders.push(("gradstep", data.slices(move |p, g| gradstep.step(p, g).expect("same length"))));
        contenders.push(("bare", data.slices(move |p, g| bare_momentum(p, &mut velocity, g, learning_rate, momentum))));
    } else {
        let mut gradstep = Sgd::new(LEARNING_RATE)?;
        let peer = stochastic_optimizers::SGD::new(data.start.clone(), learning_rate);
        contenders.push(("gradstep", data.slices(move |p, g| gradstep.step(p, g).expect("same length"))));
        contenders.push(("bare", data.slices(move |p, g| bare_sgd(p, g, learning_rate))));
        let own = (peer, data.grads.clone());
        let peer = contender(own, |(sgd, grads)| sgd.step(grads), |(sgd, _)| sgd.parameters().clone());
        contenders.push(("stochastic_optimizers", peer));
    }
    contenders.extend(F::descend(data, momentum).map(|descend| ("descend", descend)));
    contenders.push(("candle-optimisers", candle(data, momentum)?));
    contenders.push(("burn", burn(data, momentum)));
    Ok(contenders)
}
