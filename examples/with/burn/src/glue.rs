//! The part to copy: gradstep's rules as an optimizer of burn.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Serialize, de::DeserializeOwned};

// glue
/// A function that returns the rule for a tensor of a length. `ModuleOptimizer::from(Stepper(…))` steps a module.
///
/// burn's trait returns no errors: what gradstep rejects panics here, as in burn's own operations.
#[derive(Clone)]
pub struct Stepper<O>(pub fn(usize) -> Result<O, gradstep::Error>);

/// A tensor's rule, with its state.
#[derive(Clone)]
pub struct Rule<O>(O);

pub trait Saved: gradstep::Optimizer<f32> + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<O: gradstep::Optimizer<f32> + Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Saved for O {}

impl<O: Saved> Optimizer for Stepper<O> {
    type State<const D: usize> = Rule<O>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Rule<O>>,
    ) -> (Tensor<D>, Option<Rule<O>>) {
        assert_eq!(grad.shape(), tensor.shape(), "the gradient has another shape than its tensor");
        let device = tensor.device();
        // In the order of the indices, whatever the strides; not copied unless somebody else holds the tensor.
        let (mut params, grads) = (tensor.into_data(), grad.into_data());
        let step = || {
            let mut rule = state.map_or_else(|| (self.0)(params.num_elements()), |state| Ok(state.0))?;
            rule.set_learning_rate(learning_rate)?;
            rule.step(params.as_mut_slice()?, grads.as_slice()?)?;
            anyhow::Ok(rule)
        };
        let rule = step().unwrap_or_else(|error| panic!("{error}"));
        (Tensor::from_data(params, (&device, DType::F32)), Some(Rule(rule)))
    }

    /// State is in host memory.
    fn to_device<const D: usize>(state: Rule<O>, _: &Device) -> Rule<O> {
        state
    }
}

/// In gradstep's own format, which names its type and version, as a tensor of bytes.
impl<O: Saved> RecordState for Rule<O> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let bytes = postcard::to_allocvec(&self.0).expect("a rule in memory can be saved");
        let len = bytes.len();
        out.push_tensor(prefix, "gradstep", TensorData::new(bytes, [len]));
    }

    /// Panics, because burn would silently take `None` for a new state.
    fn state_unflatten(prefix: &str, src: &mut StateSource, _: &Device) -> Option<Self> {
        let data = src.take_tensor(prefix, "gradstep");
        let data = data.unwrap_or_else(|| panic!("the saved state of parameter {prefix} is not gradstep's"));
        let rule = postcard::from_bytes(data.as_bytes());
        Some(Rule(rule.unwrap_or_else(|error| panic!("the saved state of parameter {prefix}: {error}"))))
    }
}
// end of glue
