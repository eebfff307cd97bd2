//! gradstep beside its peers: the same data, the same rule, one process, one table.
//!
//! `[PYTHON=python3] cargo run --release [--features simd,rayon] [-- LONGEST]`
//!
//! With `PYTHON`, an interpreter with torch and numpy, `torch_sgd.py` adds its columns. Nanoseconds a step, least of
//! several rounds taken in turn, at several places in memory, where another one begins each time. Before it is timed each
//! contender takes 3 steps, and must then have moved every parameter to where gradstep has it; while timed it must have
//! moved them on.

use std::{env, error::Error, hint::black_box, process::Command, rc::Rc};

use burn_core::tensor::{DType, Device, Element, Tensor, TensorData};
use burn_optim::{Optimizer as _, Sgd as BurnSgd, SgdConfig, SgdState, momentum::MomentumConfig};
use candle_core::{Tensor as CandleTensor, Var, WithDType, backprop::GradStore};
use candle_nn::Optimizer as _;
use candle_optimisers::esgd::{ParamsSGD, SGD};
use descend::Optimizer as _;
use gradstep::{Momentum, Optimizer, ParamGroups, Sgd};
use num_traits::Float;
use stochastic_optimizers::{Optimizer as _, Parameters};

#[path = "../../alternate.rs"]
mod alternate;
use alternate::alternate;

const LEARNING_RATE: f64 = 1e-3;
const MOMENTUM: f64 = 0.9;

const NOTES: &str = "\
What a step includes:
- gradstep, bare, descend, stochastic_optimizers: one call on slices that stand ready; the last owns its parameters.
- candle-optimisers: `step` with one `GradStore` made before. Its new tensors are part of its step.
- burn: `Optimizer::step` on a tensor, which is what `ModuleOptimizer` calls for each parameter; no module is walked and
  no `GradientsParams` made. It consumes the gradient: it is given a clone, which shares the data, so that burn
  writes the product with the learning rate to a new tensor.
- torch, numpy: `optimizer.step()` with `grad` set before; `p -= lr * g`, with momentum `m *= mu; m += g; p -= lr * m`.
Momentum: gradstep and bare take the classical form, the others PyTorch's; at one learning rate they walk the same path.
descend has no f64, stochastic_optimizers no momentum.
";

trait Contender<F> {
    fn step(&mut self);

    fn params(&self) -> Vec<F>;

    /// Here and not at the caller, so that each step is called as its user would call it: directly.
    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            black_box(&mut *self).step();
        }
    }
}

type Contenders<F> = Vec<(&'static str, Box<dyn Contender<F>>)>;

/// What all of them can step, but descend.
trait Scalar: Float + WithDType + Element + Parameters<Scalar = Self> {
    fn descend(data: &Data<Self>, momentum: Option<f64>) -> Option<Box<dyn Contender<Self>>>;
}

impl Scalar for f32 {
    fn descend(data: &Data<f32>, momentum: Option<f64>) -> Option<Box<dyn Contender<f32>>> {
        let mut sgd = descend::Sgd::new(LEARNING_RATE as f32).with_momentum(momentum.unwrap_or(0.0) as f32);
        Some(data.flat(move |params, grads| sgd.step(params, grads)))
    }
}

impl Scalar for f64 {
    fn descend(_: &Data<f64>, _: Option<f64>) -> Option<Box<dyn Contender<f64>>> {
        None
    }
}

fn scalar<F: Scalar>(value: f64) -> F {
    <F as WithDType>::from_f64(value)
}

struct Data<F> {
    start: Vec<F>,
    grads: Rc<Vec<F>>,
    place: usize,
}

/// Moves what is allocated while it is alive.
fn gap(units: usize) -> Vec<u8> {
    vec![0; 16 * units]
}

impl<F: Scalar> Data<F> {
    /// No gradient is zero: every parameter must move.
    fn new(n: usize, place: usize) -> Self {
        let start = (0..n).map(|i| scalar((i % 5) as f64)).collect();
        let grads = (0..n).map(|i| scalar((i % 16) as f64 - 7.5)).collect();
        Data { start, grads: Rc::new(grads), place }
    }

    fn flat(&self, step: impl FnMut(&mut [F], &[F]) + 'static) -> Box<dyn Contender<F>> {
        Box::new(Flat { _gap: gap(17 * self.place), params: self.start.clone(), grads: self.grads.clone(), step })
    }
}

/// Whoever steps slices.
struct Flat<F, S> {
    _gap: Vec<u8>,
    params: Vec<F>,
    grads: Rc<Vec<F>>,
    step: S,
}

impl<F: Copy, S: FnMut(&mut [F], &[F])> Contender<F> for Flat<F, S> {
    fn step(&mut self) {
        (self.step)(&mut self.params, &self.grads);
    }

    fn params(&self) -> Vec<F> {
        self.params.clone()
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

struct Stochastic<F: Scalar> {
    sgd: stochastic_optimizers::SGD<Vec<F>>,
    grads: Rc<Vec<F>>,
}

impl<F: Scalar> Contender<F> for Stochastic<F> {
    fn step(&mut self) {
        self.sgd.step(&self.grads);
    }

    fn params(&self) -> Vec<F> {
        self.sgd.parameters().clone()
    }
}

struct Candle {
    vars: Vec<Var>,
    grads: GradStore,
    sgd: SGD,
}

impl Candle {
    /// One `Var` for every `len` parameters.
    fn new<F: Scalar>(data: &Data<F>, len: usize, momentum: Option<f64>) -> candle_core::Result<Self> {
        let tensor = |values: &[F]| CandleTensor::from_slice(values, values.len(), &candle_core::Device::Cpu);
        let vars = data.start.chunks(len).map(|values| Var::from_tensor(&tensor(values)?));
        let vars = vars.collect::<candle_core::Result<Vec<_>>>()?;
        // The only way to a `GradStore` is a backward pass; what it found is then replaced.
        let mut grads = vars[0].sum_all()?.backward()?;
        for (var, values) in vars.iter().zip(data.grads.chunks(len)) {
            grads.insert(var, tensor(values)?);
        }
        let momentum = momentum.map(candle_optimisers::Momentum::Classical);
        let sgd = SGD::new(vars.clone(), ParamsSGD { lr: LEARNING_RATE, momentum, ..Default::default() })?;
        Ok(Candle { vars, grads, sgd })
    }
}

impl<F: Scalar> Contender<F> for Candle {
    fn step(&mut self) {
        self.sgd.step(&self.grads).expect("candle steps");
    }

    fn params(&self) -> Vec<F> {
        self.vars.iter().flat_map(|var| var.to_vec1().expect("a vector")).collect()
    }
}

struct Burn {
    /// Taken out and put back by a step.
    params: Option<Tensor<1>>,
    state: Option<SgdState<1>>,
    grads: Tensor<1>,
    sgd: BurnSgd,
}

impl Burn {
    fn new<F: Scalar>(data: &Data<F>, momentum: Option<f64>) -> Self {
        let dtype: DType = <F as Element>::dtype();
        let tensor = |values: &[F]| {
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&Device::flex(), dtype))
        };
        let momentum = momentum.map(|momentum| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0));
        let sgd = SgdConfig::new().with_momentum(momentum).build();
        Burn { params: Some(tensor(&data.start)), state: None, grads: tensor(&data.grads), sgd }
    }
}

impl<F: Scalar> Contender<F> for Burn {
    fn step(&mut self) {
        let params = self.params.take().expect("put back");
        let (params, state) = self.sgd.step(LEARNING_RATE, params, self.grads.clone(), self.state.take());
        (self.params, self.state) = (Some(params), state);
    }

    fn params(&self) -> Vec<F> {
        self.params.as_ref().expect("put back").to_data().try_to_vec().expect("the same dtype")
    }
}

/// gradstep, the bare loop, the peers: in this order.
fn flat<F: Scalar>(data: &Data<F>, momentum: Option<f64>) -> Result<Contenders<F>, Box<dyn Error>> {
    let learning_rate = scalar(LEARNING_RATE);
    let mut contenders = Contenders::new();
    let _gap = gap(21 * (data.place / 4));
    if let Some(momentum) = momentum.map(scalar) {
        let mut gradstep = Momentum::new(learning_rate, momentum, data.start.len())?;
        let mut velocity = vec![F::zero(); data.start.len()];
        contenders.push(("gradstep", data.flat(move |p, g| gradstep.step(p, g).expect("same length"))));
        contenders.push(("bare", data.flat(move |p, g| bare_momentum(p, &mut velocity, g, learning_rate, momentum))));
    } else {
        let mut gradstep = Sgd::new(learning_rate)?;
        let sgd = stochastic_optimizers::SGD::new(data.start.clone(), learning_rate);
        contenders.push(("gradstep", data.flat(move |p, g| gradstep.step(p, g).expect("same length"))));
        contenders.push(("bare", data.flat(move |p, g| bare_sgd(p, g, learning_rate))));
        contenders.push(("stochastic_optimizers", Box::new(Stochastic { sgd, grads: data.grads.clone() })));
    }
    contenders.extend(F::descend(data, momentum).map(|descend| ("descend", descend)));
    contenders.push(("candle-optimisers", Box::new(Candle::new(data, data.start.len(), momentum)?)));
    contenders.push(("burn", Box::new(Burn::new(data, momentum))));
    Ok(contenders)
}

/// The same for many tensors of `len` parameters. The list that `ParamGroups::step` takes is made in each step.
fn groups(data: &Data<f32>, len: usize, momentum: Option<f64>) -> Result<Contenders<f32>, Box<dyn Error>> {
    fn step<O: Optimizer<f32> + Clone + 'static>(
        data: &Data<f32>,
        len: usize,
        optimizer: O,
    ) -> Result<Box<dyn Contender<f32>>, gradstep::Error> {
        let mut model = ParamGroups::new();
        let names: Vec<String> = (0..data.start.len() / len).map(|i| format!("layers.{i}.weight")).collect();
        for name in &names {
            model.insert(name, len, optimizer.clone())?;
        }
        Ok(data.flat(move |params, grads| {
            let slices = params.chunks_mut(len).zip(grads.chunks(len));
            let mut tensors: Vec<_> = names.iter().zip(slices).map(|(name, (p, g))| (name.as_str(), p, g)).collect();
            model.step(&mut tensors).expect("every tensor, in its length");
        }))
    }
    let learning_rate = LEARNING_RATE as f32;
    let (gradstep, bare) = if let Some(momentum) = momentum.map(scalar) {
        let mut velocity = vec![0.0; data.start.len()];
        let bare = data.flat(move |params, grads| {
            for ((p, m), g) in params.chunks_mut(len).zip(velocity.chunks_mut(len)).zip(grads.chunks(len)) {
                bare_momentum(p, m, g, learning_rate, momentum);
            }
        });
        (step(data, len, Momentum::new(learning_rate, momentum, len)?)?, bare)
    } else {
        let bare = data.flat(move |params, grads| {
            for (p, g) in params.chunks_mut(len).zip(grads.chunks(len)) {
                bare_sgd(p, g, learning_rate);
            }
        });
        (step(data, len, Sgd::new(learning_rate)?)?, bare)
    };
    let candle = Box::new(Candle::new(data, len, momentum)?);
    Ok(vec![("gradstep", gradstep), ("bare", bare), ("candle-optimisers", candle)])
}

fn close<F: Scalar>(a: &[F], b: &[F]) -> bool {
    // burn holds the momentum as f32, whatever the tensor: hence no closer in f64.
    let tolerance = scalar(if F::DTYPE == candle_core::DType::F32 { 1e-5 } else { 1e-8 });
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| (a - b).abs() <= tolerance)
}

/// Nanoseconds a step, and the sum of the parameters after 3 steps.
fn race<F: Scalar>(data: &Data<F>, contenders: &mut Contenders<F>) -> (Vec<f64>, f64) {
    let first = data.place % contenders.len();
    let moved = |from: &[F], to: &[F]| from.iter().zip(to).all(|(a, b)| a != b);
    contenders.iter_mut().for_each(|(_, contender)| contender.steps(3));
    let expected = contenders[0].1.params();
    for (name, contender) in &*contenders {
        let params = contender.params();
        assert!(moved(&data.start, &params), "{name}: some parameters did not move");
        assert!(close(&params, &expected), "{name}: not what gradstep gets");
    }

    // Short steps are repeated, so that the clock's own cost does not count.
    let n = data.start.len();
    let repeat = (20_000 / n).max(1);
    let mut closures: Vec<_> = contenders.iter_mut().map(|(_, contender)| move || contender.steps(repeat)).collect();
    let mut closures: Vec<_> = closures.iter_mut().map(|closure| closure as &mut dyn FnMut()).collect();
    closures.rotate_left(first);
    let mut times = alternate((10_000_000 / n).clamp(10, 100), 3, &mut closures);
    times.rotate_right(first);

    for (name, contender) in contenders {
        assert!(moved(&expected, &contender.params()), "{name}: did not step while timed");
    }
    let sum = expected.iter().map(|&param| WithDType::to_f64(param)).sum();
    (times.into_iter().map(|time| time / repeat as f64 * 1e9).collect(), sum)
}

/// torch_sgd.py, whose lines are: name, nanoseconds, sum of the parameters after 3 steps.
fn python(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let Ok(python) = env::var("PYTHON") else { return Ok(String::new()) };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/torch_sgd.py");
    let output = Command::new(python).arg(script).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The columns of one row, under their names.
fn row<F: Scalar>(
    n: usize,
    momentum: Option<f64>,
    with_python: bool,
    contenders: impl Fn(&Data<F>) -> Result<Contenders<F>, Box<dyn Error>>,
) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    // Where the heap happens to put short vectors (against cache lines, and against one another modulo a page) can
    // double a step's time. So that it is not luck who is fast, all are made and timed at several places.
    let places = if n <= 1 << 16 { 16 } else { 4 };
    let (mut names, mut times, mut sum) = (Vec::new(), Vec::new(), 0.0);
    for place in 0..places {
        let data = Data::new(n, place);
        let mut contenders = contenders(&data)?;
        let (here, sum_here) = race(&data, &mut contenders);
        names = contenders.iter().map(|(name, _)| *name).collect();
        times.resize(here.len(), f64::INFINITY);
        times.iter_mut().zip(here).for_each(|(least, time)| *least = time.min(*least));
        sum = sum_here;
    }
    let (gradstep, bare) = (times[0], times[1]);
    let fastest = times[2..].iter().copied().fold(f64::INFINITY, f64::min);
    let nanoseconds = |time: f64| if time < 1000.0 { format!("{time:.1}") } else { format!("{time:.0}") };
    let ratio = |time: f64| format!("{:.2}", time / gradstep);

    let mut row = vec![("fastest peer / gradstep".into(), ratio(fastest)), ("bare / gradstep".into(), ratio(bare))];
    row.extend(names.iter().zip(&times).map(|(name, &time)| (name.to_string(), nanoseconds(time))));
    if with_python {
        let dtype = if F::DTYPE == candle_core::DType::F32 { "float32" } else { "float64" };
        let arguments = [n.to_string(), dtype.into(), LEARNING_RATE.to_string(), momentum.unwrap_or(0.0).to_string()];
        for line in python(&arguments)?.lines() {
            let [name, time, other_sum] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(line.into()) };
            let (time, other_sum): (f64, f64) = (time.parse()?, other_sum.parse()?);
            assert!((sum - other_sum).abs() <= 1e-6 * sum.abs(), "{name}: not the sum that gradstep gets");
            row.push((name.into(), nanoseconds(time)));
            row.push(("/ gradstep".into(), ratio(time)));
        }
    }
    Ok(row)
}

fn print(first: bool, label: &str, row: Vec<(String, String)>) {
    let (names, cells): (Vec<_>, Vec<_>) = row.into_iter().unzip();
    if first {
        println!("| n | {} |\n|{}", names.join(" | "), "--:|".repeat(names.len() + 1));
    }
    println!("| {label} | {} |", cells.join(" | "));
}

fn table<F: Scalar>(title: &str, lengths: &[usize], momentum: Option<f64>) -> Result<(), Box<dyn Error>> {
    println!("\n{title}, ns a step\n");
    for (i, &n) in lengths.iter().enumerate() {
        let row = row::<F>(n, momentum, true, |data| flat(data, momentum))?;
        print(i == 0, &n.to_string(), row);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let longest = env::args().nth(1).map_or(Ok(1 << 25), |argument| argument.parse())?;
    let up_to = |lengths: &[usize]| lengths.iter().copied().filter(|&n| n <= longest).collect::<Vec<_>>();
    let all = up_to(&[64, 1000, 4096, 65_536, 1 << 20, 1 << 22, 1 << 25]);
    let some = up_to(&[4096, 1 << 20]);

    let features = [("simd", cfg!(feature = "simd")), ("rayon", cfg!(feature = "rayon"))];
    let features: Vec<_> = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    println!("gradstep's features: {features:?}; cores: {}", std::thread::available_parallelism()?);
    println!("Peers:");
    include_str!("../Cargo.toml").lines().filter(|line| line.contains("\"=")).for_each(|line| println!("- {line}"));
    match python(&[])?.as_str() {
        "" => println!("- no torch and numpy: PYTHON names no interpreter"),
        versions => println!("- {versions}"),
    }
    println!("\n{NOTES}");

    table::<f32>("SGD, f32", &all, None)?;
    table::<f32>("Momentum, f32", &all, Some(MOMENTUM))?;
    table::<f64>("SGD, f64", &some, None)?;
    table::<f64>("Momentum, f64", &some, Some(MOMENTUM))?;

    let (tensors, len) = (100, 64);
    println!("\n`ParamGroups` of {tensors} tensors of {len} parameters, f32, ns a step\n");
    for (label, momentum) in [("SGD", None), ("Momentum", Some(MOMENTUM))] {
        let row = row(tensors * len, momentum, false, |data| groups(data, len, momentum))?;
        print(momentum.is_none(), label, row);
    }
    Ok(())
}
