use alloc::{format, vec::Vec};
use core::mem;

use num_traits::Float;

use super::{optimizer::Optimizer, restore::Restore, step::Step, weight_decay::WeightDecay};
use crate::{
    check::{self, same},
    error::Error,
    float::{flush, from_f64},
    gradient::grads::Grads,
};

/// The form of momentum: where η multiplies, and where the gradient is taken. The velocity is `m` in the classical forms
/// and `v` in PyTorch's.
///
/// While η is constant, `Classical` and `PyTorch` take the same path (`m = -η v`) but for rounding, and so do the two
/// Nesterov forms. When η changes they differ: in the classical forms the velocity is a distance that already contains
/// the old η, so the parameters move on at the old speed; in PyTorch's it is a sum of gradients, and the new η rescales
/// all of it at once.
///
/// # Which one to use
/// | you come from | use |
/// |---|---|
/// | lecture notes, Sutskever et al. 2013, Keras `SGD(momentum)` | [`Classical`](MomentumForm::Classical) |
/// | Keras `SGD(momentum, nesterov=True)` | [`Nesterov`](MomentumForm::Nesterov) |
/// | `torch.optim.SGD(momentum)`, optax `sgd(momentum)`, burn `Momentum` (whose dampening is 0.1 by default) | [`PyTorch`](MomentumForm::PyTorch) |
/// | `torch.optim.SGD(momentum, nesterov=True)`, optax `sgd(momentum, nesterov=True)` | [`PyTorchNesterov`](MomentumForm::PyTorchNesterov) |
/// | Optimisers.jl `Momentum`, `Nesterov` | [`Classical`](MomentumForm::Classical), [`Nesterov`](MomentumForm::Nesterov) |
///
/// (As of torch 2.11, Keras 3, optax 0.2, burn 0.22 and Optimisers.jl 0.4.)
///
/// There is no dampening, since it is a factor of the gradients: PyTorch's `dampening = d` takes the first gradient as
/// it is and `1 - d` times each later one. The second example does so. (There a coupled decay is dampened too: multiply
/// its w as well.) There is no switch to maximise: negate the loss.
///
/// # Example
/// ```
/// use gradstep::{Momentum, MomentumForm, Optimizer};
/// let mut params = [0.0_f64];
/// let mut ported = Momentum::new(0.5, 0.5, 1)?.with_form(MomentumForm::PyTorchNesterov);
/// ported.step(&mut params, &[1.0])?; // v = 1: 0 - 1/2 (1 + 1/2 · 1)
/// assert_eq!(params, [-0.75]);
///
/// use gradstep::Grads;
/// let mut params = [0.0_f64];
/// let mut dampened = Momentum::new(0.5, 0.5, 1)?.with_form(MomentumForm::PyTorch);
/// for grads in [[1.0], [1.0]] {
///     let scale = if dampened.steps() == 0 { 1.0 } else { 1.0 - 0.25 }; // dampening = 0.25
///     dampened.step_with(&mut params, Grads::new(&grads).scaled(scale))?; // v = 1, then 1/2 + 3/4
/// }
/// assert_eq!(params, [-0.5 - 0.625]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MomentumForm {
    /// `m <- λ m - η g ; θ <- θ + m` (Polyak 1964; Sutskever et al. 2013): the default.
    #[default]
    Classical,
    /// `m <- λ m - η g ; θ <- θ + (λ m - η g)`, with the new `m` (Nesterov 1983, as in Sutskever et al. 2013 and Keras).
    Nesterov,
    /// `v <- λ v + g ; θ <- θ - η v` (`torch.optim.SGD`).
    PyTorch,
    /// `v <- λ v + g ; θ <- θ - η (g + λ v)`, with the new `v` (`torch.optim.SGD(nesterov=True)`).
    PyTorchNesterov,
}

/// What a [`Momentum`] is set to: plain numbers that step any parameters with any velocity, both yours.
///
/// For a velocity that lives in a map, a cell or a framework's tensor, and for settings that a program collects before it
/// makes its optimizers: the fields are plain numbers, and are checked where they are used, by [`step`](MomentumRule::step)
/// and by [`Momentum::with_rule`].
///
/// # Example
/// ```
/// use gradstep::{MomentumForm, MomentumRule};
/// let rule = MomentumRule { form: MomentumForm::Nesterov, ..MomentumRule::new(0.25, 0.5) };
/// let (mut params, mut velocity) = ([16.0_f64], [0.0]);
/// rule.step(&mut params, &mut velocity, &[16.0])?; // m = -4: 16 + (1/2 · -4 - 4)
/// assert_eq!((params, velocity), ([10.0], [-4.0]));
///
/// let error = MomentumRule::new(0.25, 1.5).step(&mut params, &mut velocity, &[16.0]).unwrap_err();
/// assert_eq!(error.to_string(), "momentum is 1.5, expected a number of at least 0 and below 1");
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentumRule {
    /// The learning rate η, at least 0.
    pub learning_rate: f64,
    /// The momentum λ, at least 0 and below 1.
    pub momentum: f64,
    /// Where η multiplies, and where the gradient is taken.
    pub form: MomentumForm,
    /// The weight decay.
    pub weight_decay: WeightDecay,
}

impl MomentumRule {
    /// Classical momentum without weight decay.
    pub fn new(learning_rate: f64, momentum: f64) -> Self {
        MomentumRule { learning_rate, momentum, form: MomentumForm::Classical, weight_decay: WeightDecay::None }
    }

    /// Moves `params` and `velocity` by one step against `grads`, all of one length.
    ///
    /// # Errors
    /// Those of [`Momentum::with_rule`] for the settings, and [`Error::Length`]. Nothing has changed then.
    ///
    /// # Cost
    /// One pass: three slices read, two written; no allocation.
    pub fn step<P: Float + Send + Sync + 'static>(
        &self,
        params: &mut [P],
        velocity: &mut [P],
        grads: &[P],
    ) -> Result<(), Error> {
        self.check::<P>()?.update(Step::new(params, Grads::new(grads))?, velocity)
    }

    fn check<P: Float + 'static>(self) -> Result<Self, Error> {
        check::learning_rate::<P>(self.learning_rate)?;
        check::momentum::<P>(self.momentum)?;
        self.weight_decay.check::<P>()?;
        Ok(self)
    }

    // Inlined: a step of a few parameters would feel the call.
    #[inline(always)]
    fn update<P: Float + Send + Sync + 'static>(&self, step: Step<P>, velocity: &mut [P]) -> Result<(), Error> {
        let (learning_rate, momentum) = (from_f64::<P>(self.learning_rate), from_f64::<P>(self.momentum));
        let flush = flush();
        match self.form {
            MomentumForm::Classical => self.apply(step, velocity, move |p, [m], g| {
                let m = flush(momentum * m - learning_rate * g);
                (p + m, [m])
            }),
            MomentumForm::Nesterov => self.apply(step, velocity, move |p, [m], g| {
                let m = flush(momentum * m - learning_rate * g);
                (p + (momentum * m - learning_rate * g), [m])
            }),
            MomentumForm::PyTorch => self.apply(step, velocity, move |p, [v], g| {
                let v = flush(momentum * v + g);
                (p - learning_rate * v, [v])
            }),
            MomentumForm::PyTorchNesterov => self.apply(step, velocity, move |p, [v], g| {
                let v = flush(momentum * v + g);
                (p - learning_rate * (g + momentum * v), [v])
            }),
        }
    }

    #[inline(always)]
    fn apply<P: Float + Send + Sync + 'static>(
        &self,
        step: Step<P>,
        velocity: &mut [P],
        rule: impl Fn(P, [P; 1], P) -> (P, [P; 1]) + Copy + Sync,
    ) -> Result<(), Error> {
        self.weight_decay.apply(self.learning_rate, step, [velocity], rule)
    }
}

/// Momentum: a velocity that adds up the gradients, `m <- λ m - η g ; θ <- θ + m`.
///
/// The velocity is not an average: under a constant gradient it grows to `-η g / (1 - λ)`, so with λ = 0.9 the steps
/// become ten times as long as those of [`Sgd`](crate::Sgd) with the same η. With λ = 0 it is `Sgd` to the bit (except
/// for the sign of a zero), as long as the velocity is finite and not below the smallest normal number. With η = 0 the
/// classical forms still move by λ m, and PyTorch's do not move but still add up gradients.
/// [`with_form`](Momentum::with_form) chooses among the four [`MomentumForm`]s;
/// [`with_weight_decay`](Momentum::with_weight_decay) adds a decay, applied before the rule. Computed in `P`: η and λ
/// are rounded to it once a step, and then each operation is rounded, in the order of the formula.
///
/// **A velocity below the smallest normal number (2^-126 in f32 and bf16, 2^-1022 in f64) becomes 0**, in every form.
/// The velocity of a unit that gets no gradient any more would else shrink to a subnormal number, which rounding to
/// nearest keeps for ever, and CPUs are slow with those: a step over such units takes 30 to 90 times as long. (PyTorch
/// needs `torch.set_flush_denormal(True)` for it, which sets the CPU.) f16's subnormals are kept: it is computed in
/// f32, where they are normal numbers.
///
/// The settings are a [`MomentumRule`], which also steps velocities that you keep yourself.
///
/// In bf16 and f16 small updates are lost to rounding, without an error: use a `MasterCopy`
/// ([`Optimizer`](crate::Optimizer#half-precision) says how small).
///
/// State: the velocity, as long as the parameters, and a count of steps. Cost of a step: one pass, three slices read,
/// two written; no allocation.
///
/// Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Sutskever et al. 2013, "On
/// the importance of initialization and momentum in deep learning".
///
/// # Example
/// ```
/// use gradstep::{Momentum, MomentumForm, Optimizer};
/// let mut momentum = Momentum::new(0.25, 0.5, 1)?;
/// let mut params = [16.0_f64];
/// momentum.step(&mut params, &[16.0])?; // m = -4
/// momentum.step(&mut params, &[12.0])?; // m = -2 - 3
/// assert_eq!(params, [7.0]);
/// assert_eq!(momentum.velocity(), [-5.0]);
///
/// let nesterov = Momentum::<f32>::new(0.1, 0.9, 1000)?.with_form(MomentumForm::Nesterov);
/// assert_eq!(nesterov.steps(), 0);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "nesterov")]
#[doc(alias = "heavy_ball")]
#[derive(Debug, Clone, PartialEq)]
pub struct Momentum<P> {
    rule: MomentumRule,
    velocity: Vec<P>,
    steps: u64,
}

impl<P: Float + Send + Sync + 'static> Momentum<P> {
    /// Classical momentum with learning rate η, momentum λ and a velocity of `len` zeros.
    ///
    /// # Errors
    /// Those of [`with_rule`](Momentum::with_rule).
    pub fn new(learning_rate: f64, momentum: f64, len: usize) -> Result<Self, Error> {
        Self::with_rule(MomentumRule::new(learning_rate, momentum), len)
    }

    /// Momentum with these settings and a velocity of `len` zeros: `Momentum::with_rule(*other.rule(), len)` is a fresh
    /// optimizer like another.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate or the decay is NaN, infinite or negative, or the momentum is outside [0, 1);
    /// [`Error::Rounded`] if one of them is so in `P` (0.999 is 1 in bf16), or is above 0 and 0 in `P`; [`Error::Memory`]
    /// if there is no room for the velocity.
    pub fn with_rule(rule: MomentumRule, len: usize) -> Result<Self, Error> {
        Ok(Momentum { rule: rule.check::<P>()?, velocity: check::zeros("velocity", len)?, steps: 0 })
    }

    /// The same in another form.
    ///
    /// Choose it before the first step. The velocity stays as it is, and means another thing in another form.
    #[must_use]
    pub fn with_form(mut self, form: MomentumForm) -> Self {
        self.set_form(form);
        self
    }

    /// The same with a weight decay.
    ///
    /// # Errors
    /// Those of [`set_weight_decay`](Momentum::set_weight_decay).
    pub fn with_weight_decay(mut self, weight_decay: WeightDecay) -> Result<Self, Error> {
        self.set_weight_decay(weight_decay)?;
        Ok(self)
    }

    /// The same with this velocity and count of steps instead of zeros: those of another library, or a part of a saved
    /// velocity. (A part is valid, since each element of a step depends on its own parameter, gradient and velocity only.)
    ///
    /// # Errors
    /// [`Error::Length`] if the velocity has another length than the one given to [`new`](Momentum::new).
    ///
    /// # Example
    /// ```
    /// use gradstep::{Momentum, Optimizer};
    /// let whole = Momentum::new(0.5, 0.5, 4)?.with_velocity(&[1.0, 2.0, 3.0, 4.0], 7)?;
    /// let right = Momentum::new(0.5, 0.5, 2)?.with_velocity(&whole.velocity()[2..], whole.steps())?;
    /// assert_eq!((right.velocity(), right.steps()), (&[3.0, 4.0][..], 7));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn with_velocity(mut self, velocity: &[P], steps: u64) -> Result<Self, Error> {
        check::length("velocity", velocity.len(), "params", self.velocity.len())?;
        self.velocity.copy_from_slice(velocity);
        Ok(Momentum { steps, ..self })
    }

    /// The settings.
    pub fn rule(&self) -> &MomentumRule {
        &self.rule
    }

    /// Sets the momentum λ for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is outside [0, 1), [`Error::Rounded`] if it is so in `P`, or is above 0 and 0 in `P`.
    /// The old one stays then.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<(), Error> {
        self.rule.momentum = check::momentum::<P>(momentum)?;
        Ok(())
    }

    /// Sets the form for the steps to come. The velocity stays as it is, and means another thing in another form.
    pub fn set_form(&mut self, form: MomentumForm) {
        self.rule.form = form;
    }

    /// Sets the weight decay for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative; [`Error::Rounded`] if it is above 0 and 0 in `P`, or
    /// infinite there. The old one stays then.
    pub fn set_weight_decay(&mut self, weight_decay: WeightDecay) -> Result<(), Error> {
        self.rule.weight_decay = weight_decay.check::<P>()?;
        Ok(())
    }

    /// The velocity m, one value per parameter.
    pub fn velocity(&self) -> &[P] {
        &self.velocity
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Momentum<P> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.check_len("velocity", self.velocity.len())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        self.rule.update(step, &mut self.velocity)?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.rule.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.rule.learning_rate = check::learning_rate::<P>(learning_rate)?;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn reset(&mut self) {
        self.velocity.fill(P::zero());
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.velocity.len())
    }
}

impl<P> Restore for Momentum<P> {
    /// [`Error::Saved`] if the form or the length of the velocity differs.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same("form", format!("{:?}", other.rule.form), format!("{:?}", self.rule.form))?;
        same("length of the velocity", other.velocity.len(), self.velocity.len())?;
        mem::swap(&mut self.velocity, &mut other.velocity);
        mem::swap(&mut self.steps, &mut other.steps);
        Ok(())
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] MomentumRule = "MomentumRule v1";
    learning_rate: Exact<f64>,
    momentum: Exact<f64>,
    form: Plain<MomentumForm>,
    weight_decay: Plain<WeightDecay>,
    => MomentumRule { learning_rate, momentum, form, weight_decay }.check::<f64>()
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [P: SavedFloat] Momentum<P> = "Momentum<{}> v1", P::NAME;
    steps: Exact<u64>,
    velocity: Exact<Vec<P>>,
    rule: Plain<MomentumRule>,
    => Ok(Momentum { rule: rule.check::<P>()?, velocity, steps })
}

#[cfg(feature = "serde")]
crate::saved::saved_names! { "form" MomentumForm: Classical, Nesterov, PyTorch, PyTorchNesterov }
