use alloc::vec::Vec;
use core::{
    mem,
    ops::Bound::{Included, Unbounded},
};

use num_traits::Float;

use super::{optimizer::Optimizer, restore::Restore, step::Step, weight_decay::WeightDecay};
use crate::{
    check::{self, same},
    double::{Double, product, sum, whole_power},
    error::Error,
    float::{flush, from_f64, smallest_kept, to_f64},
    gradient::grads::Grads,
};

/// Adam and AdamW: each parameter moves by the mean of its gradients over the root of the mean of their squares.
///
/// `m <- β₁ m + (1 - β₁) g ; v <- β₂ v + (1 - β₂) g² ; θ <- θ - η m̂ / (√v̂ + ε)`, where `m̂ = m / (1 - β₁ᵗ)` and
/// `v̂ = v / (1 - β₂ᵗ)` at step t = 1, 2, …: both begin at 0, and the divisions take out the bias of that.
///
/// The decay makes the difference: **Adam** is without one or [`Coupled`](WeightDecay::Coupled), which enters m and v;
/// **AdamW** is [`Decoupled`](WeightDecay::Decoupled), which does not.
///
/// | you come from | use |
/// |---|---|
/// | `torch.optim.Adam(weight_decay=w)` | `WeightDecay::Coupled(w)` |
/// | `torch.optim.AdamW`, `optax.adamw` | `WeightDecay::Decoupled(w)`; w is 0.01 in torch by default, 1e-4 in optax |
/// | Keras `Adam`, `AdamW(weight_decay=w)` | none, `WeightDecay::Decoupled(w)`; its ε is the paper's ε̂, which is ours times `√(1 - β₂ᵗ)` |
///
/// (As of torch 2.15, optax 0.2 and Keras 3.) There is no AMSGrad, and no switch to maximise: negate the loss.
///
/// # Arithmetic
/// Computed in `P`: β₁, β₂ and ε are rounded to it, and `1 - β` is the rest of the rounded β. `η / (1 - β₁ᵗ)` and `1 /
/// √(1 - β₂ᵗ)` are computed in f64, to the last bit or two however near β is to 1, and rounded to `P` once a step. Then
/// each operation is rounded, in the order of `θ - (η / (1 - β₁ᵗ)) · (m / ((1 / √(1 - β₂ᵗ)) · √v + ε))`. The powers
/// depend on β and the count of steps only, so a run that is resumed has the same bits.
///
/// m and v become 0 where they are below the smallest normal number, so that a unit whose gradients are 0 does not
/// become slow (f16 keeps them). So does a square that adds less than that to v: in f32, with β₂ = 0.999, that of a
/// gradient below
/// 3.4e-18. ε should be well above this. A gradient above 1.8e19 in f32 has an infinite square; v stays infinite then, and the
/// parameter stands still: clip where that can happen.
///
/// For bf16 and f16 parameters use a `MasterCopy`. Alone, bf16 rounds 0.999 to 1, f16 rounds 1e-8 to 0, which are
/// rejected, and what f16 makes of `g²` is 0 for most gradients.
///
/// State: m and v, each as long as the parameters, and a count of steps. Cost of a step: one pass, four slices read,
/// three written, a square root and a division a parameter; and some 50 ns for the powers, until they are too small to
/// matter (some 400 steps with β = 0.9, 42,000 with 0.999). No allocation.
///
/// Source: Kingma and Ba 2015, "Adam: A method for stochastic optimization"; Loshchilov and Hutter 2019, "Decoupled weight
/// decay regularization". `torch.optim.Adam` and `AdamW` (2.15) agree to rounding.
///
/// # Example
/// ```
/// use gradstep::{Adam, Optimizer, WeightDecay};
/// let mut adam = Adam::new(0.5, 2)?;
/// let mut params = [1.0_f32, 2.0];
/// adam.step(&mut params, &[0.25, -40.0])?; // the first step is η, whatever the size of the gradient
/// assert_eq!(params, [0.5, 2.5]);
///
/// let adamw = Adam::<f32>::new(1e-3, 1000)?.with_weight_decay(WeightDecay::Decoupled(0.01))?;
/// assert_eq!((adamw.betas(), adamw.eps()), ([0.9, 0.999], 1e-8));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "adam")]
#[doc(alias = "adamw")]
#[doc(alias = "AdamW")]
#[derive(Debug, Clone, PartialEq)]
pub struct Adam<P> {
    learning_rate: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: WeightDecay,
    m: Vec<P>,
    v: Vec<P>,
    steps: u64,
    /// [`power`] of each β, as `P` rounds it, and `steps`.
    powers: [Double; 2],
}

impl<P: Float + Send + Sync + 'static> Adam<P> {
    /// Adam with learning rate η for `len` parameters, with β₁ = 0.9, β₂ = 0.999 and ε = 1e-8.
    ///
    /// # Errors
    /// Those of [`with_settings`](Adam::with_settings); in bf16 and f16 always.
    pub fn new(learning_rate: f64, len: usize) -> Result<Self, Error> {
        Self::with_settings(learning_rate, [0.9, 0.999], 1e-8, len)
    }

    /// Adam with learning rate η, `[β₁, β₂]` and ε, for `len` parameters.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative, a β is outside [0, 1), or ε is not a finite
    /// number above 0 (with ε = 0 a parameter without gradients would become 0 / 0); [`Error::Rounded`] if one of them
    /// is so in `P`, or is above 0 and 0 in `P`; [`Error::Memory`] if there is no room for m and v.
    pub fn with_settings(learning_rate: f64, betas: [f64; 2], eps: f64, len: usize) -> Result<Self, Error> {
        Ok(Adam {
            learning_rate: check::learning_rate::<P>(learning_rate)?,
            betas: check_betas::<P>(betas)?,
            eps: check::eps::<P>(eps)?,
            weight_decay: WeightDecay::None,
            m: check::zeros("m", len)?,
            v: check::zeros("v", len)?,
            steps: 0,
            powers: [(1.0, 0.0); 2],
        })
    }

    /// The same with a weight decay.
    ///
    /// # Errors
    /// Those of [`set_weight_decay`](Adam::set_weight_decay).
    pub fn with_weight_decay(mut self, weight_decay: WeightDecay) -> Result<Self, Error> {
        self.set_weight_decay(weight_decay)?;
        Ok(self)
    }

    /// The same with this m, v and count of steps instead of zeros: torch's `exp_avg`, `exp_avg_sq` and `step`, or a
    /// part of what was saved. (A part is valid, since each parameter depends on its own gradient, m and v only.)
    ///
    /// # Errors
    /// [`Error::Length`] if m or v has another length than the one given to [`new`](Adam::new), [`Error::Number`] if a v is
    /// negative.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Adam, Optimizer};
    /// let whole = Adam::new(0.1, 3)?.with_state(&[0.5, 0.0, -0.5], &[1.0, 0.0, 2.0], 7)?;
    /// let right = Adam::new(0.1, 2)?.with_state(&whole.m()[1..], &whole.v()[1..], whole.steps())?;
    /// assert_eq!((right.m(), right.v(), right.steps()), (&[0.0, -0.5][..], &[0.0, 2.0][..], 7));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn with_state(mut self, m: &[P], v: &[P], steps: u64) -> Result<Self, Error> {
        check::length("m", m.len(), "params", self.m.len())?;
        check::length("v", v.len(), "params", self.v.len())?;
        check_v(v)?;
        self.m.copy_from_slice(m);
        self.v.copy_from_slice(v);
        self.set_steps(steps);
        Ok(self)
    }

    /// `[β₁, β₂]`.
    pub fn betas(&self) -> [f64; 2] {
        self.betas
    }

    /// Sets `[β₁, β₂]` for the steps to come. m and v stay as they are, and are divided by `1 - βᵗ` with the new β and all
    /// steps, as torch does.
    ///
    /// # Errors
    /// [`Error::Number`] if one is outside [0, 1), [`Error::Rounded`] if it is so in `P`, or is above 0 and 0 in `P`.
    /// The old ones stay then.
    pub fn set_betas(&mut self, betas: [f64; 2]) -> Result<(), Error> {
        self.betas = check_betas::<P>(betas)?;
        self.set_steps(self.steps);
        Ok(())
    }

    /// ε, which is added to the root.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> WeightDecay {
        self.weight_decay
    }

    /// Sets the weight decay for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative; [`Error::Rounded`] if it is above 0 and 0 in `P`, or
    /// infinite there. The old one stays then.
    pub fn set_weight_decay(&mut self, weight_decay: WeightDecay) -> Result<(), Error> {
        self.weight_decay = weight_decay.check::<P>()?;
        Ok(())
    }

    /// The first moment m: the mean of the gradients, one value per parameter. Not yet divided by `1 - β₁ᵗ`.
    #[doc(alias = "exp_avg")]
    pub fn m(&self) -> &[P] {
        &self.m
    }

    /// The second moment v: the mean of their squares, one value per parameter. Not yet divided by `1 - β₂ᵗ`.
    #[doc(alias = "exp_avg_sq")]
    pub fn v(&self) -> &[P] {
        &self.v
    }
}

impl<P: Float + 'static> Adam<P> {
    /// β₁ and β₂ as `P` has them.
    fn rounded_betas(&self) -> [P; 2] {
        self.betas.map(from_f64)
    }

    fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
        self.powers = self.rounded_betas().map(|beta| power(to_f64(beta), steps));
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Adam<P> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.check_len("m", self.m.len())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        let steps = self.steps.saturating_add(1);
        let [beta1, beta2] = self.rounded_betas();
        let [rest1, rest2] = [P::one() - beta1, P::one() - beta2];
        let powers =
            [next_power(self.powers[0], to_f64(beta1), steps), next_power(self.powers[1], to_f64(beta2), steps)];
        let [correction1, correction2] = powers.map(one_minus);
        let [rate, scale, eps] =
            [self.learning_rate / correction1, 1.0 / correction2.sqrt(), self.eps].map(from_f64::<P>);
        // A smaller gradient adds a subnormal number to v, and CPUs take long to square it.
        let least = (smallest_kept::<P>() / rest2).sqrt();

        let flush = flush();
        let state = [&mut self.m[..], &mut self.v];
        self.weight_decay.apply(self.learning_rate, step, state, move |p, [m, v], g| {
            let m = flush(beta1 * m + rest1 * g);
            let g = if g.abs() < least { P::zero() } else { g };
            let v = flush(beta2 * v + rest2 * (g * g));
            (p - rate * (m / (scale * v.sqrt() + eps)), [m, v])
        })?;
        self.steps = steps;
        self.powers = powers;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.learning_rate = check::learning_rate::<P>(learning_rate)?;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn reset(&mut self) {
        self.m.fill(P::zero());
        self.v.fill(P::zero());
        self.set_steps(0);
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.m.len())
    }
}

impl<P: Float + 'static> Restore for Adam<P> {
    /// [`Error::Saved`] if the length of m and v differs.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same("length of m", other.m.len(), self.m.len())?;
        mem::swap(&mut self.m, &mut other.m);
        mem::swap(&mut self.v, &mut other.v);
        let steps = (self.steps, other.steps);
        self.set_steps(steps.1);
        other.set_steps(steps.0);
        Ok(())
    }
}

fn check_betas<P: Float + 'static>([beta1, beta2]: [f64; 2]) -> Result<[f64; 2], Error> {
    Ok([check::beta::<P>("beta1", beta1)?, check::beta::<P>("beta2", beta2)?])
}

/// NaN and infinity are what bad gradients have left.
fn check_v<P: Float + 'static>(v: &[P]) -> Result<(), Error> {
    match v.iter().find(|&&v| v < P::zero()) {
        Some(&v) => Err(Error::Number { name: "v", value: to_f64(v), range: (Included(0.0), Unbounded) }),
        None => Ok(()),
    }
}

// The powers of β: a sum of two f64, so that 1 - βᵗ has all digits. ----------------------------------------------------

/// How many steps are one product each.
const BLOCK: u64 = 64;

/// βᵗ, or 0 where that is the same to 1 - βᵗ. A function of β and t alone, yet cheap from one t to the next: by squaring to
/// the last multiple of 64, and from there on times β.
fn power(beta: f64, steps: u64) -> Double {
    let start = steps - steps % BLOCK;
    (start + 1..=steps).fold(block_power(beta, start), |power, _| product(power, (beta, 0.0)))
}

/// [`power`] of `steps` from that of the step before.
#[inline]
fn next_power(power: Double, beta: f64, steps: u64) -> Double {
    if power.0 == 0.0 {
        power // for ever
    } else if steps % BLOCK == 0 {
        block_power(beta, steps)
    } else {
        product(power, (beta, 0.0))
    }
}

fn block_power(beta: f64, steps: u64) -> Double {
    let power = whole_power((beta, 0.0), steps);
    if power.0 < f64::EPSILON / 256.0 { (0.0, 0.0) } else { power }
}

fn one_minus((high, low): Double) -> f64 {
    let (difference, rest) = sum(1.0, -high);
    difference + (rest - low)
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [P: SavedFloat] Adam<P> = "Adam<{}> v1", P::NAME;
    learning_rate: Exact<f64>,
    betas: Exact<[f64; 2]>,
    eps: Exact<f64>,
    steps: Exact<u64>,
    m: Exact<Vec<P>>,
    v: Exact<Vec<P>>,
    weight_decay: Plain<WeightDecay>,
    => {
        let mut adam = Adam::with_settings(learning_rate, betas, eps, 0)?.with_weight_decay(weight_decay)?;
        check::length("v", v.len(), "m", m.len())?;
        check_v(&v)?;
        adam.set_steps(steps);
        Ok(Adam { m, v, ..adam })
    }
}
