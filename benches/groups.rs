//! What it costs `ParamGroups` to find its tensors, by the order in which they are given. Beside it the same optimizers
//! in the same order without names, since memory that is visited in disorder is slower by itself.
//!
//! `cargo bench --bench groups [-- LONGEST]`; microseconds per step of n tensors of 4, least of 200.

use std::time::Instant;

use gradstep::{Batcher, Momentum, Optimizer, ParamGroups};

mod common;
use common::{heading, largest};

/// A tensor's place in the model, its name, parameters and gradients.
type Tensor<'a> = (usize, &'a str, &'a mut [f32], &'a [f32]);

fn main() -> Result<(), gradstep::Error> {
    heading("cargo bench --bench groups", "n, order, named, bare");
    let longest = largest(10_000);
    for n in [100, 1000, 10_000].into_iter().take_while(|&n| n <= longest) {
        let names: Vec<String> = (0..n).map(|i| format!("layer.{i}.weight")).collect();
        let momentum = Momentum::<f32>::new(1e-3, 0.9, 4)?;
        let mut model = ParamGroups::new();
        for name in &names {
            model.insert(name.as_str(), momentum.clone())?;
        }
        model.freeze(&names[0])?; // left out of all
        let mut bare = vec![momentum; n];
        let (mut params, grads) = (vec![[1.0_f32; 4]; n], [1e-3; 4]);
        let tensors = names.iter().zip(&mut params).enumerate();
        let mut tensors: Vec<Tensor> = tensors
            .skip(1)
            .map(|(place, (name, params))| (place, name.as_str(), &mut params[..], &grads[..]))
            .collect();

        for (name, shuffled, anew) in
            [("as inserted", false, false), ("that of the last step", true, false), ("a new one each step", true, true)]
        {
            let mut least = [f64::INFINITY; 2];
            for round in 0..200 {
                if shuffled && (anew || round == 0) {
                    let order = Batcher::new(n - 1, 1, 42)?.epoch(round);
                    tensors.sort_by_key(|tensor| order.indices()[tensor.0 - 1]);
                }
                let start = Instant::now();
                for (place, _, params, grads) in &mut tensors {
                    bare[*place].step(params, grads)?;
                }
                least[1] = least[1].min(start.elapsed().as_secs_f64());
                let mut given: Vec<_> =
                    tensors.iter_mut().map(|(_, name, params, grads)| (*name, &mut **params, *grads)).collect();
                let start = Instant::now();
                model.step(&mut given)?;
                least[0] = least[0].min(start.elapsed().as_secs_f64());
            }
            let [named, bare] = least.map(|time| time * 1e6);
            println!("{n}, {name}, {named:.1}, {bare:.1}");
        }
    }
    Ok(())
}
