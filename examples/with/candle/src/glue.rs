//! The part to copy: gradstep's rules where `candle_nn::SGD` stood.

use std::{cell::RefCell, collections::HashMap};

use candle_core::{CpuStorage, Error, InplaceOp2, Layout, Var, backprop::GradStore, bail};
use candle_nn::VarMap;
use gradstep::{Grads, ParamGroups, Visit};

// glue
type Result<T, E = Error> = std::result::Result<T, E>;

/// candle lends a variable's numbers only to such an operation.
struct InPlace<'a>(&'a str, RefCell<&'a mut Visit<'a, f32>>);

impl InplaceOp2 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "gradstep"
    }

    fn cpu_fwd(&self, params: &mut CpuStorage, at: &Layout, grads: &CpuStorage, grads_at: &Layout) -> Result<()> {
        let (CpuStorage::F32(params), CpuStorage::F32(grads)) = (params, grads) else {
            bail!("`{}`: parameters or gradients of another type, expected f32", self.0)
        };
        // The storage may be longer than the tensor, or hold it in another order.
        let (Some(at), Some(grads_at)) = (at.contiguous_offsets(), grads_at.contiguous_offsets()) else {
            bail!("`{}`: parameters or gradients are not contiguous", self.0)
        };
        let (params, grads) = (&mut params[at.0..at.1], &grads[grads_at.0..grads_at.1]);
        (self.1.borrow_mut())(self.0, params, Grads::new(grads)).map_err(Error::wrap)
    }
}

/// Steps the variables of a `VarMap` in place, each by its own rule, which holds its state.
pub struct Stepper<O> {
    /// The rules. candle's learning rate is a factor of their own.
    pub model: ParamGroups<f32, O>,
    vars: Vec<(String, Var)>,
    learning_rate: f64,
}

pub struct Config<O> {
    pub learning_rate: f64,
    /// Has the names of the variables.
    pub names: VarMap,
    /// Returns the rule for a name and a length. Its learning rate is a factor of the common one: usually 1.
    pub rule: fn(&str, usize) -> Result<O, gradstep::Error>,
}

impl<O: gradstep::Optimizer<f32>> candle_nn::Optimizer for Stepper<O> {
    type Config = Config<O>;

    fn new(vars: Vec<Var>, Config { learning_rate, names, rule }: Config<O>) -> Result<Self> {
        let names = names.data().lock().expect("no panic while the names were held");
        let names: HashMap<_, _> = names.iter().map(|(name, var)| (var.id(), name)).collect();
        let mut named = Vec::new();
        for var in vars.into_iter().filter(|var| var.dtype().is_float()) {
            let Some(&name) = names.get(&var.id()) else {
                bail!("a variable of shape {:?} is not in the VarMap", var.shape())
            };
            named.push((name.clone(), var));
        }
        // `all_vars` walks a HashMap, in another order every time. Sorting makes saved bytes the same.
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut model = ParamGroups::new();
        for (name, var) in &named {
            let rule = rule(name, var.elem_count()).map_err(Error::wrap)?;
            model.insert(name.as_str(), rule).map_err(Error::wrap)?;
        }
        model.scale_learning_rates(learning_rate).map_err(Error::wrap)?;
        Ok(Stepper { model, vars: named, learning_rate })
    }

    /// Steps all variables, or none. A variable without a gradient is an error unless it is frozen (SGD ignores it).
    fn step(&mut self, grads: &GradStore) -> Result<()> {
        let Stepper { model, vars, learning_rate } = self;
        model.scale_learning_rates(*learning_rate).map_err(Error::wrap)?;
        let walked = model.step_each(|visit| {
            for (name, var) in vars.iter() {
                let Some(grad) = grads.get(var) else { continue };
                anyhow::ensure!(
                    grad.shape() == var.shape(), // gradstep sees the lengths alone
                    "`{name}`: the gradient has shape {:?}, expected {:?}",
                    grad.shape(),
                    var.shape()
                );
                // `contiguous` copies only a strided gradient.
                var.inplace_op2(&grad.contiguous()?, &InPlace(name, RefCell::new(&mut *visit)))?;
            }
            Ok(())
        });
        walked.map_err(Error::wrap)
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Cannot fail: an invalid learning rate is the error of the next step.
    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
}
// end of glue
