use alloc::vec::Vec;
use num_traits::Float;

use super::{
    grads::Grads,
    optimizer::{Optimizer, learning_rate_and_steps},
    weight_decay::WeightDecay,
};
use crate::{check, error::Error};

/// The form of momentum: where η multiplies, and where the gradient is taken. The velocity is `m` in the classical forms
/// and `v` in PyTorch's.
///
/// While η is constant, `Classical` and `PyTorch` take the same path (`m = -η v`), and so do the two Nesterov forms.
/// When η changes they differ: in the classical forms the velocity is a distance that already contains the old η, so the
/// parameters move on at the old speed; in PyTorch's it is a sum of gradients, and the new η rescales all of it at once.
///
/// # Which one to use
/// | you come from | use |
/// |---|---|
/// | lecture notes, Sutskever et al. 2013, Keras `SGD(momentum)` | [`Classical`](Form::Classical) |
/// | Keras `SGD(momentum, nesterov=True)` | [`Nesterov`](Form::Nesterov) |
/// | `torch.optim.SGD(momentum)`, optax `sgd(momentum)`, burn `Momentum` (whose dampening is 0.1 by default) | [`PyTorch`](Form::PyTorch) |
/// | `torch.optim.SGD(momentum, nesterov=True)`, optax `sgd(momentum, nesterov=True)` | [`PyTorchNesterov`](Form::PyTorchNesterov) |
/// | Optimisers.jl `Momentum`, `Nesterov` | [`Classical`](Form::Classical), [`Nesterov`](Form::Nesterov) |
///
/// (As of torch 2.11, Keras 3, optax 0.2, burn 0.22 and Optimisers.jl 0.4.)
///
/// There is no dampening: a step with PyTorch's `dampening = d` is a step of the `PyTorch` form with learning rate
/// `η (1 - d)` (except for the first gradient, which PyTorch does not dampen). There is no switch to maximise: negate the
/// loss.
///
/// # Example
/// ```
/// use gradstep::{Form, Momentum, Optimizer};
/// let mut params = [0.0_f64];
/// let mut ported = Momentum::new(0.5, 0.5, 1)?.with_form(Form::PyTorchNesterov);
/// ported.step(&mut params, &[1.0])?; // v = 1: 0 - 1/2 (1 + 1/2 · 1)
/// assert_eq!(params, [-0.75]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
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

/// Momentum: a velocity that adds up the gradients, `m <- λ m - η g ; θ <- θ + m`.
///
/// The velocity is not an average: under a constant gradient it grows to `-η g / (1 - λ)`, so with λ = 0.9 the steps
/// become ten times as long as those of [`Sgd`](crate::Sgd) with the same η. With λ = 0 it is `Sgd` to the bit (except
/// for the sign of a zero), as long as the velocity is finite. With η = 0 the classical forms still move by λ m, and
/// PyTorch's do not move but still add up gradients.
/// [`with_form`](Momentum::with_form) chooses among the four [`Form`]s;
/// [`with_weight_decay`](Momentum::with_weight_decay) adds a decay, applied before the rule.
/// Rounded after each operation, in the order in which the formula is written.
///
/// State: the velocity, as long as the parameters, and a count of steps. Cost of a step: one pass, three slices read,
/// two written; no allocation.
///
/// Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Sutskever et al. 2013, "On
/// the importance of initialization and momentum in deep learning".
///
/// # Example
/// ```
/// use gradstep::{Form, Momentum, Optimizer};
/// let mut momentum = Momentum::new(0.25, 0.5, 1)?;
/// let mut params = [16.0_f64];
/// momentum.step(&mut params, &[16.0])?; // m = -4
/// momentum.step(&mut params, &[12.0])?; // m = -2 - 3
/// assert_eq!(params, [7.0]);
/// assert_eq!(momentum.velocity(), [-5.0]);
///
/// let nesterov = Momentum::new(0.1_f32, 0.9, 1000)?.with_form(Form::Nesterov);
/// assert_eq!(nesterov.steps(), 0);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Momentum<F> {
    pub(crate) learning_rate: F,
    pub(crate) momentum: F,
    pub(crate) form: Form,
    pub(crate) weight_decay: WeightDecay<F>,
    pub(crate) velocity: Vec<F>,
    pub(crate) steps: u64,
}

impl<F: Float + Send + Sync> Momentum<F> {
    /// Classical momentum with learning rate η, momentum λ and a velocity of `len` zeros.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative, or the momentum is outside [0, 1);
    /// [`Error::Memory`] if there is no room for the velocity.
    pub fn new(learning_rate: F, momentum: F, len: usize) -> Result<Self, Error> {
        Ok(Momentum {
            learning_rate: check::learning_rate(learning_rate)?,
            momentum: check::momentum(momentum)?,
            form: Form::Classical,
            weight_decay: WeightDecay::None,
            velocity: check::zeros("velocity", len)?,
            steps: 0,
        })
    }

    /// The same in another form.
    ///
    /// Choose it before the first step. The velocity stays as it is, and means another thing in another form.
    #[must_use]
    pub fn with_form(self, form: Form) -> Self {
        Momentum { form, ..self }
    }

    /// The same with a weight decay.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative.
    pub fn with_weight_decay(self, weight_decay: WeightDecay<F>) -> Result<Self, Error> {
        Ok(Momentum { weight_decay: weight_decay.checked()?, ..self })
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
    pub fn with_velocity(mut self, velocity: &[F], steps: u64) -> Result<Self, Error> {
        check::length("velocity", velocity.len(), "params", self.velocity.len())?;
        self.velocity.copy_from_slice(velocity);
        Ok(Momentum { steps, ..self })
    }

    /// The momentum λ.
    pub fn momentum(&self) -> F {
        self.momentum
    }

    /// Sets the momentum λ for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is outside [0, 1). The old one stays then.
    pub fn set_momentum(&mut self, momentum: F) -> Result<(), Error> {
        self.momentum = check::momentum(momentum)?;
        Ok(())
    }

    /// Takes over all of `saved`, if its velocity has this one's length: velocity, count of steps, **and all settings,
    /// such as the learning rate**. Set them anew afterwards if they are to change.
    ///
    /// # Errors
    /// [`Error::Saved`] if it has another length. Nothing has changed then.
    pub fn restore(&mut self, saved: Self) -> Result<(), Error> {
        check::same("length of the velocity", saved.velocity.len(), self.velocity.len())?;
        *self = saved;
        Ok(())
    }

    /// The form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> WeightDecay<F> {
        self.weight_decay
    }

    /// The velocity m, one value a parameter.
    pub fn velocity(&self) -> &[F] {
        &self.velocity
    }
}

impl<F: Float + Send + Sync> Optimizer<F> for Momentum<F> {
    fn step(&mut self, params: &mut [F], grads: &[F]) -> Result<(), Error> {
        self.step_checked(params, grads.into())
    }

    fn step_checked(&mut self, params: &mut [F], grads: Grads<F>) -> Result<(), Error> {
        self.check_lengths(params.len(), grads.len())?;
        let (learning_rate, momentum) = (self.learning_rate, self.momentum);
        match self.form {
            Form::Classical => self.update(params, grads, move |p, [m], g| {
                let m = momentum * m - learning_rate * g;
                (p + m, [m])
            }),
            Form::Nesterov => self.update(params, grads, move |p, [m], g| {
                let m = momentum * m - learning_rate * g;
                (p + (momentum * m - learning_rate * g), [m])
            }),
            Form::PyTorch => self.update(params, grads, move |p, [v], g| {
                let v = momentum * v + g;
                (p - learning_rate * v, [v])
            }),
            Form::PyTorchNesterov => self.update(params, grads, move |p, [v], g| {
                let v = momentum * v + g;
                (p - learning_rate * (g + momentum * v), [v])
            }),
        }
    }

    learning_rate_and_steps!();

    fn reset(&mut self) {
        self.velocity.fill(F::zero());
        self.steps = 0;
    }

    fn check(&self, params: &[F], grads: &[F]) -> Result<(), Error> {
        self.check_lengths(params.len(), grads.len())
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.velocity.len())
    }
}

impl<F: Float + Send + Sync> Momentum<F> {
    fn check_lengths(&self, params: usize, grads: usize) -> Result<(), Error> {
        check::length("grads", grads, "params", params)?;
        check::length("params", params, "velocity", self.velocity.len())
    }

    #[inline(always)]
    fn update(
        &mut self,
        params: &mut [F],
        grads: Grads<F>,
        rule: impl Fn(F, [F; 1], F) -> (F, [F; 1]) + Copy + Send + Sync,
    ) -> Result<(), Error> {
        self.weight_decay.elementwise(self.learning_rate, params, [&mut self.velocity], grads, rule)?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }
}
