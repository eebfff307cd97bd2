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

/// The form of momentum: whether η multiplies the gradient or the velocity, and whether the step is Nesterov's. The
/// velocity is `m` in the classical forms and `v` in PyTorch's.
///
/// While η is constant, `Classical` and `PyTorch` take the same steps except for rounding (`m = -η v`), and so do the
/// two Nesterov forms. When η changes, they differ. In the classical forms the velocity is a distance that already
/// contains the old η, so the parameters first move on at the old speed. In PyTorch's forms it is a sum of gradients,
/// and the new η rescales all of it at once.
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
/// There is no setting for dampening, because it is a factor of the gradients: PyTorch's `dampening = d` takes the
/// first gradient as it is, and multiplies each later one by `1 - d`. The second half of the example does that.
/// (PyTorch dampens a coupled decay too; multiply its w in the same way.) There is no switch to maximise: negate the
/// loss, or [scale](crate::Grads::scaled) the gradients by -1.
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
    /// `m <- λ m - η g ; θ <- θ + (λ m - η g)`, with the new `m` (Nesterov 1983, as in Sutskever et al. 2013 and
    /// Keras).
    Nesterov,
    /// `v <- λ v + g ; θ <- θ - η v` (`torch.optim.SGD`).
    PyTorch,
    /// `v <- λ v + g ; θ <- θ - η (g + λ v)`, with the new `v` (`torch.optim.SGD(nesterov=True)`).
    PyTorchNesterov,
}

/// The settings of a [`Momentum`], without a velocity. They can step parameters with a velocity that you keep yourself.
///
/// Use it if the velocity is in a map, a cell or a framework's tensor, or if your program collects settings before it
/// creates its optimizers. The fields may hold any numbers; [`step`](MomentumRule::step) and [`Momentum::with_rule`]
/// check them.
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
    /// The form of momentum.
    pub form: MomentumForm,
    /// The weight decay.
    pub weight_decay: WeightDecay,
}

impl MomentumRule {
    /// Creates the settings of classical momentum without weight decay.
    pub fn new(learning_rate: f64, momentum: f64) -> Self {
        MomentumRule { learning_rate, momentum, form: MomentumForm::Classical, weight_decay: WeightDecay::None }
    }

    /// Moves `params` and `velocity` by one step against `grads`. All three have the same length. Begin with a velocity
    /// of zeros.
    ///
    /// # Errors
    /// Those of [`Momentum::with_rule`] if a setting is invalid; [`Error::Length`] if the lengths differ. Nothing has
    /// changed then.
    ///
    /// # Cost
    /// One pass that reads three slices and writes two; no allocation.
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

    // Inlined: the call would make a step of a few parameters measurably slower.
    #[inline(always)]
    fn update<P: Float + Send + Sync + 'static>(&self, step: Step<P>, velocity: &mut [P]) -> Result<(), Error> {
        // Rounded once per step, so that the loop computes in `P` alone.
        let (learning_rate, momentum) = (from_f64::<P>(self.learning_rate), from_f64::<P>(self.momentum));
        // Makes 0 of a subnormal velocity, which would make the step slow for as long as no gradient comes.
        let flush = flush();
        // One loop per form, so that the loop does not ask for the form at each parameter.
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

/// Gradient descent with a velocity that adds up the gradients: `m <- λ m - η g ; θ <- θ + m`.
///
/// [`with_form`](Momentum::with_form) chooses among the four [`MomentumForm`]s, of which this is the default;
/// [`with_weight_decay`](Momentum::with_weight_decay) adds a decay, which is applied before the rule. The rule is
/// computed in `P`: η and λ are rounded to `P` once per step, and then each operation is rounded, in the order of the
/// formula.
///
/// The velocity is not an average. Under a constant gradient it grows to `-η g / (1 - λ)`, so with λ = 0.9 the steps
/// become ten times as long as those of [`Sgd`](crate::Sgd) with the same η. With λ = 0 the result is that of `Sgd` to
/// the bit (except for the sign of a zero), as long as the velocity is finite and not below the smallest normal number.
/// With η = 0 the classical forms still move the parameters by λ m; PyTorch's forms do not move them, but still add up
/// gradients.
///
/// **A velocity below the smallest normal number (2^-126 in f32 and bf16, 2^-1022 in f64) becomes 0**, in every form.
/// Otherwise the velocity of a unit whose gradients have become 0 would shrink to a subnormal number and stay there,
/// because rounding to nearest keeps it. CPUs are slow with subnormal numbers: a step over such units takes 30 to 90
/// times as long. (PyTorch avoids this only after `torch.set_flush_denormal(True)`, which changes a setting of the
/// CPU.) f16 keeps its subnormal numbers, since it is computed in f32, where they are normal.
///
/// The settings are a [`MomentumRule`], which can also step velocities that you keep yourself.
///
/// In bf16 and f16, small updates are lost to rounding without an error (how small:
/// [`Optimizer`](crate::Optimizer#half-precision)); use a `MasterCopy` there.
///
/// State: the velocity, as long as the parameters, and a count of steps. Cost of a step: one pass that reads three
/// slices and writes two; no allocation.
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
    /// Creates classical momentum with learning rate η, momentum λ and a velocity of `len` zeros.
    ///
    /// # Errors
    /// Those of [`with_rule`](Momentum::with_rule).
    pub fn new(learning_rate: f64, momentum: f64, len: usize) -> Result<Self, Error> {
        Self::with_rule(MomentumRule::new(learning_rate, momentum), len)
    }

    /// Creates momentum with these settings and a velocity of `len` zeros. `Momentum::with_rule(*other.rule(), len)`
    /// has the settings of `other`.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate or the decay is NaN, infinite or negative, or the momentum is outside
    /// [0, 1); [`Error::Rounded`] if `P` rounds one of them to such a number (0.999 is 1 in bf16), or to 0 although it
    /// is above 0; [`Error::Memory`] if there is no room for the velocity.
    pub fn with_rule(rule: MomentumRule, len: usize) -> Result<Self, Error> {
        Ok(Momentum { rule: rule.check::<P>()?, velocity: check::zeros("velocity", len)?, steps: 0 })
    }

    /// Returns this optimizer with another form. Choose the form before the first step: the velocity stays as it is,
    /// but in PyTorch's forms it means something else than in the classical ones.
    #[must_use]
    pub fn with_form(mut self, form: MomentumForm) -> Self {
        self.set_form(form);
        self
    }

    /// Returns this optimizer with a weight decay.
    ///
    /// # Errors
    /// Those of [`set_weight_decay`](Momentum::set_weight_decay).
    pub fn with_weight_decay(mut self, weight_decay: WeightDecay) -> Result<Self, Error> {
        self.set_weight_decay(weight_decay)?;
        Ok(self)
    }

    /// Returns this optimizer with this velocity and count of steps instead of zeros: those of another library, or the
    /// part of a saved velocity that belongs to these parameters. (A part is enough, since each parameter depends on
    /// its own gradient and velocity only.)
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

    /// Returns the settings.
    pub fn rule(&self) -> &MomentumRule {
        &self.rule
    }

    /// Sets the momentum λ for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is outside [0, 1); [`Error::Rounded`] if `P` rounds it to 1, or to 0 although it is
    /// above 0. The old momentum stays then.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<(), Error> {
        self.rule.momentum = check::momentum::<P>(momentum)?;
        Ok(())
    }

    /// Sets the form for the steps to come. The velocity stays as it is, but in PyTorch's forms it means something else
    /// than in the classical ones.
    pub fn set_form(&mut self, form: MomentumForm) {
        self.rule.form = form;
    }

    /// Sets the weight decay for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative; [`Error::Rounded`] if `P` rounds the strength to
    /// infinity, or to 0 although it is above 0. The old decay stays then.
    pub fn set_weight_decay(&mut self, weight_decay: WeightDecay) -> Result<(), Error> {
        self.rule.weight_decay = weight_decay.check::<P>()?;
        Ok(())
    }

    /// Returns the velocity (m, or v in PyTorch's forms), one value per parameter.
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

    super::optimizer::learning_rate_and_steps!(rule.learning_rate);

    fn reset(&mut self) {
        self.velocity.fill(P::zero());
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.velocity.len())
    }
}

impl<P> Restore for Momentum<P> {
    /// Returns [`Error::Saved`] if the form or the length of the velocity differs.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        // In another form the same numbers are another velocity.
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
    // This checks as f64, since the type of the parameters is not known here. `Momentum` checks again in its own type.
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
