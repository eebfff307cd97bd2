//! Update rules from outside of the crate, and wrappers that forward what the compiler asks for and no more.

use gradstep::{Error, FiniteGuard, Grads, Momentum, Optimizer, Restore, Sgd, Step};
use num_traits::Float;

/// The methods that have to be there, each by the same one of `$inner`: all of them, or those that are listed.
macro_rules! forward {
    ($params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        forward!($params, $self => $inner, $inner_mut;
            check update learning_rate set_learning_rate steps reset state_len);
    };
    ($params:ty, $self:ident => $inner:expr, $inner_mut:expr; $($method:ident)+) => {
        $(forward!(@$method $params, $self => $inner, $inner_mut);)+
    };
    (@check $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn check(&$self, grads: gradstep::Grads<$params>) -> Result<(), gradstep::Error> {
            $inner.check(grads)
        }
    };
    (@update $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn update(&mut $self, step: gradstep::Step<$params>) -> Result<(), gradstep::Error> {
            $inner_mut.update(step)
        }
    };
    (@learning_rate $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn learning_rate(&$self) -> f64 {
            $inner.learning_rate()
        }
    };
    (@set_learning_rate $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn set_learning_rate(&mut $self, learning_rate: f64) -> Result<(), gradstep::Error> {
            $inner_mut.set_learning_rate(learning_rate)
        }
    };
    (@steps $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn steps(&$self) -> u64 {
            $inner.steps()
        }
    };
    (@reset $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn reset(&mut $self) {
            $inner_mut.reset();
        }
    };
    (@state_len $params:ty, $self:ident => $inner:expr, $inner_mut:expr) => {
        fn state_len(&$self) -> Option<usize> {
            $inner.state_len()
        }
    };
}
#[allow(unused_imports, reason = "tests/allocations.rs has no rules of its own")]
pub(crate) use forward;

/// `m <- β₁ m + (1 - β₁) g ; v <- β₂ v + (1 - β₂) g² ; θ <- θ - η w θ - η m̂ / (√v̂ + ε)`, where `m̂ = m / (1 - β₁ᵗ)` and
/// `v̂ = v / (1 - β₂ᵗ)` at step t. The powers are products, so no platform's `powi` or `exp` comes in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AdamW<P> {
    pub(crate) learning_rate: f64,
    betas: [f64; 2],
    pub(crate) eps: f64,
    /// m and v.
    state: [Vec<P>; 2],
    /// βᵗ of both.
    powers: [f64; 2],
    steps: u64,
}

const WEIGHT_DECAY: f64 = 0.01;

impl<P: Float> AdamW<P> {
    pub(crate) fn new(learning_rate: f64, len: usize) -> Self {
        let state = [vec![P::zero(); len], vec![P::zero(); len]];
        AdamW { learning_rate, betas: [0.9, 0.999], eps: 1e-4, state, powers: [1.0; 2], steps: 0 }
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for AdamW<P> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.check_len("m", self.state[0].len())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        let number = |x: f64| P::from(x).unwrap();
        let powers = [self.powers[0] * self.betas[0], self.powers[1] * self.betas[1]];
        let ([b1, b2], [d1, d2]) = (self.betas.map(number), self.betas.map(|beta| number(1.0 - beta)));
        let [c1, c2] = powers.map(|power| number(1.0 - power));
        let (eta, eps, keep) =
            (number(self.learning_rate), number(self.eps), number(1.0 - self.learning_rate * WEIGHT_DECAY));
        step.apply(self.state.each_mut().map(Vec::as_mut_slice), move |p, [m, v], g| {
            let m = b1 * m + d1 * g;
            let v = b2 * v + d2 * g * g;
            (keep * p - eta * (m / c1) / ((v / c2).sqrt() + eps), [m, v])
        })?;
        self.powers = powers;
        self.steps += 1;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        Sgd::<P>::new(learning_rate)?; // rejects the same rates
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn reset(&mut self) {
        self.state.iter_mut().for_each(|slice| slice.fill(P::zero()));
        self.powers = [1.0; 2];
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.state[0].len())
    }
}

/// A rule that owns its loop and asks for the plain slices, as LARS does: its step depends on the norms of all parameters
/// and of all gradients (You et al. 2017). `θ <- θ - η |θ| / |g| · g`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lars {
    pub(crate) learning_rate: f64,
    pub(crate) steps: u64,
}

pub(crate) fn lars(learning_rate: f64) -> Lars {
    Lars { learning_rate, steps: 0 }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Lars {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.as_slice().map(drop)
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        let (params, grads) = step.into_slices()?;
        let norm = |values: &[P]| values.iter().map(|x| x.to_f64().unwrap().powi(2)).sum::<f64>().sqrt();
        let rate = P::from(self.learning_rate * norm(params) / norm(grads)).unwrap();
        params.iter_mut().zip(grads).for_each(|(p, &g)| *p = *p - rate * g);
        self.steps += 1;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn reset(&mut self) {
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        None
    }
}

/// A rule with a rejection of its own: no gradient may be negative, as the rule gets it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NoNegative<O>(pub(crate) O);

pub(crate) fn negative() -> Error {
    Error::Number { name: "gradient", value: -1.0, range: (std::ops::Bound::Included(0.0), std::ops::Bound::Unbounded) }
}

impl<P: Float + Send + Sync + 'static, O: Optimizer<P>> Optimizer<P> for NoNegative<O> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        self.0.check(grads)?;
        // A step of zeros against the gradients, scaled and widened as they come.
        let mut moved = vec![P::zero(); grads.len()];
        Sgd::new(1.0)?.step_with(&mut moved, grads)?;
        if moved.iter().any(|&moved| moved > P::zero()) { Err(negative()) } else { Ok(()) }
    }

    forward!(P, self => self.0, self.0; update learning_rate set_learning_rate steps reset state_len);
}

impl<O: Restore> Restore for NoNegative<O> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        self.0.swap_state(&mut other.0)
    }
}

/// A wrapper of one's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Newtype<O>(pub(crate) O);

impl<P, O: Optimizer<P>> Optimizer<P> for Newtype<O> {
    forward!(P, self => self.0, self.0);
}

impl<O: Restore> Restore for Newtype<O> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        self.0.swap_state(&mut other.0)
    }
}

/// The way to mix rules and save them: an enum of one's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule<P> {
    Sgd(Sgd<P>),
    Momentum(Momentum<P>),
    AdamW(AdamW<P>),
    Guarded(FiniteGuard<Momentum<P>>),
    NoNegative(NoNegative<Momentum<P>>),
}

impl<P: Float + Send + Sync + 'static> Rule<P> {
    fn inner(&self) -> &dyn Optimizer<P> {
        match self {
            Rule::Sgd(sgd) => sgd,
            Rule::Momentum(momentum) => momentum,
            Rule::AdamW(adamw) => adamw,
            Rule::Guarded(guarded) => guarded,
            Rule::NoNegative(momentum) => momentum,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Optimizer<P> {
        match self {
            Rule::Sgd(sgd) => sgd,
            Rule::Momentum(momentum) => momentum,
            Rule::AdamW(adamw) => adamw,
            Rule::Guarded(guarded) => guarded,
            Rule::NoNegative(momentum) => momentum,
        }
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Rule<P> {
    forward!(P, self => self.inner(), self.inner_mut());
}

impl<P> Restore for Rule<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        match (self, other) {
            (Rule::Sgd(own), Rule::Sgd(saved)) => own.swap_state(saved),
            (Rule::Momentum(own), Rule::Momentum(saved)) => own.swap_state(saved),
            (Rule::AdamW(own), Rule::AdamW(saved)) => own.swap_state(saved),
            (Rule::Guarded(own), Rule::Guarded(saved)) => own.swap_state(saved),
            (Rule::NoNegative(own), Rule::NoNegative(saved)) => own.swap_state(saved),
            _ => Err(Error::Saved { name: "rule", saved: "another".into(), expected: "the same".into() }),
        }
    }
}

impl<P> Restore for AdamW<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        let [own, saved] = [&*self, &*other].map(|adamw| adamw.state[0].len());
        if own != saved {
            let (saved, expected) = (saved.to_string(), own.to_string());
            return Err(Error::Saved { name: "length of m", saved, expected });
        }
        std::mem::swap(&mut self.state, &mut other.state);
        std::mem::swap(&mut self.powers, &mut other.powers);
        std::mem::swap(&mut self.steps, &mut other.steps);
        Ok(())
    }
}
