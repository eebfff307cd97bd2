//! Update rules from outside of the crate, and wrappers that forward what the compiler asks for and no more.

use gradstep::{Adam, Error, FiniteGuard, Grads, Momentum, Optimizer, Restore, Sgd, Step};
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

/// `θ <- θ - η (sign(β₁ m + (1 - β₁) g) + w θ) ; m <- β₂ m + (1 - β₂) g`, with the old m and θ on the right; the sign of 0 is 0
/// (Chen et al. 2023, "Symbolic discovery of optimization algorithms").
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(bound = "P: gradstep::SavedFloat"))]
pub(crate) struct Lion<P> {
    #[cfg_attr(feature = "serde", serde(with = "gradstep::exact"))]
    learning_rate: f64,
    #[cfg_attr(feature = "serde", serde(with = "gradstep::exact"))]
    m: Vec<P>,
    steps: u64,
}

impl<P: Float> Lion<P> {
    pub(crate) fn new(learning_rate: f64, len: usize) -> Self {
        Lion { learning_rate, m: vec![P::zero(); len], steps: 0 }
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Lion<P> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.check_len("m", self.m.len())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        let [eta, w, b1, d1, b2, d2] = [self.learning_rate, 0.01, 0.9, 0.1, 0.99, 0.01].map(|x| P::from(x).unwrap());
        step.apply([&mut self.m], move |p, [m], g| {
            let c = b1 * m + d1 * g;
            let sign = if c == P::zero() { c } else { c.signum() };
            (p - eta * (sign + w * p), [b2 * m + d2 * g])
        })?;
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
        self.m.fill(P::zero());
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.m.len())
    }
}

impl<P> Restore for Lion<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        if self.m.len() != other.m.len() {
            let (saved, expected) = (other.m.len().to_string(), self.m.len().to_string());
            return Err(Error::Saved { name: "length of m", saved, expected });
        }
        std::mem::swap(&mut self.m, &mut other.m);
        std::mem::swap(&mut self.steps, &mut other.steps);
        Ok(())
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

/// `θ <- θ - η sign(g)`, the shortest rule there is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SignDescent(pub(crate) f32);

impl Optimizer<f32> for SignDescent {
    fn check(&self, _: Grads<f32>) -> Result<(), Error> {
        Ok(())
    }

    fn update(&mut self, step: Step<f32>) -> Result<(), Error> {
        let learning_rate = self.0;
        step.apply([], move |p, [], g| (p - learning_rate * g.signum(), []))
    }

    fn learning_rate(&self) -> f64 {
        self.0.into()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.0 = learning_rate as f32;
        Ok(())
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}

    fn state_len(&self) -> Option<usize> {
        None
    }
}

/// A rule with a rejection of its own: no gradient may be negative, as the rule gets it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

/// A user's wrapper.
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

/// The way to mix rules and save them: a user's enum.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(bound = "P: gradstep::SavedFloat"))]
pub(crate) enum Rule<P> {
    Sgd(Sgd<P>),
    Momentum(Momentum<P>),
    Adam(Adam<P>),
    Lion(Lion<P>),
    Guarded(FiniteGuard<Momentum<P>>),
    NoNegative(NoNegative<Momentum<P>>),
}

impl<P: Float + Send + Sync + 'static> Rule<P> {
    fn inner(&self) -> &dyn Optimizer<P> {
        match self {
            Rule::Sgd(sgd) => sgd,
            Rule::Momentum(momentum) => momentum,
            Rule::Adam(adam) => adam,
            Rule::Lion(lion) => lion,
            Rule::Guarded(guarded) => guarded,
            Rule::NoNegative(momentum) => momentum,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn Optimizer<P> {
        match self {
            Rule::Sgd(sgd) => sgd,
            Rule::Momentum(momentum) => momentum,
            Rule::Adam(adam) => adam,
            Rule::Lion(lion) => lion,
            Rule::Guarded(guarded) => guarded,
            Rule::NoNegative(momentum) => momentum,
        }
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Rule<P> {
    forward!(P, self => self.inner(), self.inner_mut());
}

impl<P: Float + 'static> Restore for Rule<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        match (self, other) {
            (Rule::Sgd(own), Rule::Sgd(saved)) => own.swap_state(saved),
            (Rule::Momentum(own), Rule::Momentum(saved)) => own.swap_state(saved),
            (Rule::Adam(own), Rule::Adam(saved)) => own.swap_state(saved),
            (Rule::Lion(own), Rule::Lion(saved)) => own.swap_state(saved),
            (Rule::Guarded(own), Rule::Guarded(saved)) => own.swap_state(saved),
            (Rule::NoNegative(own), Rule::NoNegative(saved)) => own.swap_state(saved),
            _ => Err(Error::Saved { name: "rule", saved: "another".into(), expected: "the same".into() }),
        }
    }
}
