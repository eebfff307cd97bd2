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

/// Adam and AdamW: each parameter moves by the mean of its gradients, divided by the root of the mean of their squares.
///
/// `m <- β₁ m + (1 - β₁) g ; v <- β₂ v + (1 - β₂) g² ; θ <- θ - η m̂ / (√v̂ + ε)`, where `m̂ = m / (1 - β₁ᵗ)` and
/// `v̂ = v / (1 - β₂ᵗ)` at step t = 1, 2, …. m and v begin at 0; the divisions remove the bias towards 0 that follows.
///
/// The weight decay decides which of the two it is: **Adam** has none, or a [`Coupled`](WeightDecay::Coupled) one,
/// which enters m and v; **AdamW** has a [`Decoupled`](WeightDecay::Decoupled) one, which does not.
///
/// | you come from | use |
/// |---|---|
/// | `torch.optim.Adam(weight_decay=w)` | `WeightDecay::Coupled(w)` |
/// | `torch.optim.AdamW`, `optax.adamw` | `WeightDecay::Decoupled(w)`; w is 0.01 in torch by default, 1e-4 in optax |
/// | Keras `Adam` | no decay; the ε of Keras is the paper's ε̂, the ε here times `√(1 - β₂ᵗ)` |
/// | Keras `AdamW(weight_decay=w)` | `WeightDecay::Decoupled(w)`; ε as for `Adam` |
///
/// (As of torch 2.15, optax 0.2 and Keras 3.) There is no AMSGrad, and no switch to maximise: negate the
/// loss, or [scale](crate::Grads::scaled) the gradients by -1.
///
/// # Arithmetic
/// The rule is computed in `P`: β₁, β₂ and ε are rounded to `P`, and `1 - β` is computed from the rounded β.
/// `η / (1 - β₁ᵗ)` and `1 / √(1 - β₂ᵗ)` are computed in f64, right to the last bit or two however near β is to 1, and
/// rounded to `P` once per step. Then each operation is rounded, in the order of
/// `θ - (η / (1 - β₁ᵗ)) · (m / ((1 / √(1 - β₂ᵗ)) · √v + ε))`. The powers depend only on β and the count of steps, so a
/// resumed run has the same bits.
///
/// An m or v below the smallest normal number becomes 0, so that units whose gradients are 0 do not make a step slow
/// (f16 keeps such numbers). A gradient whose square would add less than that number to v leaves v as if it were 0: in
/// f32 with β₂ = 0.999, a gradient below 3.4e-18. ε should be well above such a gradient. A gradient above 1.8e19 has
/// an infinite square in f32. Its v then stays infinite, and the parameter no longer moves: clip the gradients if they
/// can become so large.
///
/// For bf16 and f16 parameters use a `MasterCopy`. Without it the defaults are rejected, since bf16 rounds 0.999 to 1
/// and f16 rounds 1e-8 to 0; and with other settings f16 rounds the square of most gradients to 0.
///
/// State: m and v, each as long as the parameters, and a count of steps. Cost of a step: one pass that reads four
/// slices and writes three, with a square root and a division per parameter; and some 50 ns for the powers, until they
/// are too small to matter (after some 400 steps with β = 0.9, and 42,000 with 0.999). No allocation.
///
/// Source: Kingma and Ba 2015, "Adam: A method for stochastic optimization"; Loshchilov and Hutter 2019, "Decoupled
/// weight decay regularization". `torch.optim.Adam` and `AdamW` (2.15) differ by rounding only.
///
/// # Example
/// ```
/// use gradstep::{Adam, Optimizer, WeightDecay};
/// let mut adam = Adam::new(0.5, 2)?;
/// let mut params = [1.0_f32, 2.0];
/// adam.step(&mut params, &[0.25, -40.0])?; // the first step moves by η, whatever the size of the gradient
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
    /// The [`power`] of each β at `steps`, where β is rounded to `P`. They are kept, so that a step computes the next
    /// ones by one product each.
    powers: [Double; 2],
}

impl<P: Float + Send + Sync + 'static> Adam<P> {
    /// Creates Adam with learning rate η for `len` parameters, with β₁ = 0.9, β₂ = 0.999 and ε = 1e-8.
    ///
    /// # Errors
    /// Those of [`with_settings`](Adam::with_settings). bf16 and f16 are always rejected, since they cannot hold these
    /// defaults.
    pub fn new(learning_rate: f64, len: usize) -> Result<Self, Error> {
        Self::with_settings(learning_rate, [0.9, 0.999], 1e-8, len)
    }

    /// Creates Adam with learning rate η, `[β₁, β₂]` and ε, for `len` parameters.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative, a β is outside [0, 1), or ε is not a finite
    /// number above 0 (with ε = 0 a parameter without gradients would become 0 / 0); [`Error::Rounded`] if `P` rounds
    /// one of them to such a number, or to 0 although it is above 0; [`Error::Memory`] if there is no room for m and v.
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

    /// Returns this optimizer with a weight decay.
    ///
    /// # Errors
    /// Those of [`set_weight_decay`](Adam::set_weight_decay).
    pub fn with_weight_decay(mut self, weight_decay: WeightDecay) -> Result<Self, Error> {
        self.set_weight_decay(weight_decay)?;
        Ok(self)
    }

    /// Returns this optimizer with this m, v and count of steps instead of zeros: torch's `exp_avg`, `exp_avg_sq` and
    /// `step`, or the part of a saved state that belongs to these parameters. (A part is enough, since each parameter
    /// depends on its own gradient, m and v only.)
    ///
    /// # Errors
    /// [`Error::Length`] if m or v has another length than the one given to [`new`](Adam::new); [`Error::Number`] if a
    /// value of v is negative.
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

    /// Returns `[β₁, β₂]`.
    pub fn betas(&self) -> [f64; 2] {
        self.betas
    }

    /// Sets `[β₁, β₂]` for the steps to come. m and v stay as they are. From then on they are divided by `1 - βᵗ` of
    /// the new β, where t counts all steps, as in torch.
    ///
    /// # Errors
    /// [`Error::Number`] if one is outside [0, 1); [`Error::Rounded`] if `P` rounds one to 1, or to 0 although it is
    /// above 0. The old ones stay then.
    pub fn set_betas(&mut self, betas: [f64; 2]) -> Result<(), Error> {
        self.betas = check_betas::<P>(betas)?;
        self.set_steps(self.steps);
        Ok(())
    }

    /// Returns ε, which is added to the root.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// Returns the weight decay.
    pub fn weight_decay(&self) -> WeightDecay {
        self.weight_decay
    }

    /// Sets the weight decay for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative; [`Error::Rounded`] if `P` rounds the strength to
    /// infinity, or to 0 although it is above 0. The old decay stays then.
    pub fn set_weight_decay(&mut self, weight_decay: WeightDecay) -> Result<(), Error> {
        self.weight_decay = weight_decay.check::<P>()?;
        Ok(())
    }

    /// Returns the first moment m, one value per parameter: the mean of the gradients, not divided by `1 - β₁ᵗ`.
    #[doc(alias = "exp_avg")]
    pub fn m(&self) -> &[P] {
        &self.m
    }

    /// Returns the second moment v, one value per parameter: the mean of the squares of the gradients, not divided by
    /// `1 - β₂ᵗ`.
    #[doc(alias = "exp_avg_sq")]
    pub fn v(&self) -> &[P] {
        &self.v
    }
}

impl<P: Float + 'static> Adam<P> {
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
        // In f64, since in `P` most digits of 1 - βᵗ are lost if β is near 1.
        let [correction1, correction2] = powers.map(one_minus);
        let [rate, scale, eps] =
            [self.learning_rate / correction1, 1.0 / correction2.sqrt(), self.eps].map(from_f64::<P>);
        // The square of a smaller gradient would add a subnormal number to v, and CPUs take long to compute with those.
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

    super::optimizer::learning_rate_and_steps!(learning_rate);

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
    /// Returns [`Error::Saved`] if the lengths of m and v differ.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same("length of m", other.m.len(), self.m.len())?;
        mem::swap(&mut self.m, &mut other.m);
        mem::swap(&mut self.v, &mut other.v);
        // The powers are computed anew, since each optimizer keeps its own β.
        let steps = (self.steps, other.steps);
        self.set_steps(steps.1);
        other.set_steps(steps.0);
        Ok(())
    }
}

fn check_betas<P: Float + 'static>([beta1, beta2]: [f64; 2]) -> Result<[f64; 2], Error> {
    Ok([check::beta::<P>("beta1", beta1)?, check::beta::<P>("beta2", beta2)?])
}

/// Returns an error if a value of v is negative. NaN and infinity are valid, since such gradients leave them in v.
fn check_v<P: Float + 'static>(v: &[P]) -> Result<(), Error> {
    match v.iter().find(|&&v| v < P::zero()) {
        Some(&v) => Err(Error::Number { name: "v", value: to_f64(v), range: (Included(0.0), Unbounded) }),
        None => Ok(()),
    }
}

// The powers of β, each as the sum of two f64, so that 1 - βᵗ has all digits. -----------------------------------------

/// At multiples of this number [`power`] squares; from there on it multiplies by β once per step.
const BLOCK: u64 = 64;

/// Returns βᵗ, or 0 if it is too small to change 1 - βᵗ. The result depends only on β and t, so a resumed run has the
/// same bits. The power of t is that of t - 1 times β, except where t is a multiple of [`BLOCK`].
fn power(beta: f64, steps: u64) -> Double {
    let start = steps - steps % BLOCK;
    (start + 1..=steps).fold(block_power(beta, start), |power, _| product(power, (beta, 0.0)))
}

/// Returns [`power`] at `steps` from that at `steps - 1`.
#[inline]
fn next_power(power: Double, beta: f64, steps: u64) -> Double {
    if power.0 == 0.0 {
        power // later powers are smaller still
    } else if steps % BLOCK == 0 {
        block_power(beta, steps)
    } else {
        product(power, (beta, 0.0))
    }
}

/// [`power`] at a multiple of [`BLOCK`]. Below 2^-60 it is 0: 1 - βᵗ is 1 in f64 long before.
fn block_power(beta: f64, steps: u64) -> Double {
    let power = whole_power((beta, 0.0), steps);
    if power.0 < f64::EPSILON / 256.0 { (0.0, 0.0) } else { power }
}

/// Returns 1 - (high + low), rounded at the end only.
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
