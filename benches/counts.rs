//! Makes the calls whose instructions `benches/counts` counts: small ones, and loops over many values. Prints the name
//! of each call, and how often it was made between the two [`mark`]s around it.

use std::hint::black_box;

use gradstep::{
    Accumulator, Adam, Batcher, DrawFloat, Draws, Error, Momentum, MomentumForm, Optimizer, ParamGroups, Sgd,
    WeightAverage, WeightDecay, check_finite, clip_global_norm, clip_value, global_norm,
};
use num_traits::{Float, NumCast};

/// How many values a loop has: it fits the caches, and the way to the loop is lost in it.
const LEN: usize = 4096;

/// Where valgrind begins to count anew.
#[inline(never)]
fn mark() {
    black_box(());
}

fn counted(name: &str, calls: u32, mut call: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    // The first call also prepares what later ones find done, so it is not counted.
    call()?;
    mark();
    for _ in 0..calls {
        call()?;
    }
    mark();
    println!("{name}, {calls}");
    Ok(())
}

fn values<F: Float>(len: usize) -> Vec<F> {
    (0..len).map(|i| NumCast::from((i % 17) as f32 / 8.0 - 1.0).expect("small")).collect()
}

fn step<P: Float>(name: &str, mut optimizer: impl Optimizer<P>, len: usize) -> Result<(), Error> {
    let (mut params, grads) = (values(len), values(len));
    counted(name, if len < LEN { 1000 } else { 10 }, || {
        black_box(&mut optimizer).step(black_box(&mut params), black_box(&grads))
    })
}

fn groups() -> Result<(), Error> {
    let names: Vec<String> = (0..100).map(|i| format!("layer.{i}.weight")).collect();
    let mut model = ParamGroups::new();
    for name in &names {
        model.insert(name, Momentum::new(0.1, 0.9, 4)?)?;
    }
    let (mut params, grads) = ([[1.0_f32; 4]; 100], [1e-3; 4]);
    let mut tensors: Vec<_> =
        names.iter().zip(&mut params).map(|(name, params)| (name.as_str(), &mut params[..], &grads[..])).collect();
    counted("groups_of_100_by_4", 1000, || black_box(&mut model).step(black_box(&mut tensors)))
}

fn small_calls() -> Result<(), Error> {
    step::<f32>("sgd_4", Sgd::new(1e-3)?, 4)?;
    step::<f32>("sgd_64", Sgd::new(1e-3)?, 64)?;
    step::<f32>("momentum_4", Momentum::new(1e-3, 0.9, 4)?, 4)?;
    step::<f32>("momentum_64", Momentum::new(1e-3, 0.9, 64)?, 64)?;
    step::<f32>("adam_4", Adam::new(1e-3, 4)?, 4)?;
    step::<f32>("adam_64", Adam::new(1e-3, 64)?, 64)?;
    let mut sgd = Sgd::<f32>::new(0.1)?;
    counted("set_learning_rate", 1000, || black_box(&mut sgd).set_learning_rate(black_box(0.2)))?;
    // One epoch has more batches than are asked for.
    let mut stream = Batcher::new(100_000, 10, 1)?.stream();
    counted("stream_batch_of_10", 1000, || {
        black_box(black_box(&mut stream).next_batch().expect("streams do not end"));
        Ok(())
    })?;
    groups()
}

fn rules<P: Float + Send + Sync + 'static>(of: &str) -> Result<(), Error> {
    step::<P>(&format!("sgd_{of}"), Sgd::new(1e-3)?, LEN)?;
    step::<P>(&format!("sgd_decoupled_{of}"), Sgd::new(1e-3)?.with_weight_decay(WeightDecay::Decoupled(0.1))?, LEN)?;
    for (name, form) in [
        ("momentum", MomentumForm::Classical),
        ("nesterov", MomentumForm::Nesterov),
        ("pytorch", MomentumForm::PyTorch),
        ("pytorch_nesterov", MomentumForm::PyTorchNesterov),
    ] {
        step::<P>(&format!("{name}_{of}"), Momentum::new(1e-3, 0.9, LEN)?.with_form(form), LEN)?;
    }
    step::<P>(&format!("adam_{of}"), Adam::new(1e-3, LEN)?, LEN)
}

fn passes<F: Float + Send + Sync + 'static>(of: &str) -> Result<(), Error> {
    let mut grads = [values::<F>(LEN)];
    let (mut accumulator, mut average) = (Accumulator::new(LEN)?, WeightAverage::<f32>::ema(0.9, LEN)?);
    counted(&format!("global_norm_{of}"), 10, || global_norm(black_box(&grads)).map(|norm| _ = black_box(norm)))?;
    counted(&format!("check_finite_{of}"), 10, || check_finite(black_box(&grads)))?;
    counted(&format!("accumulator_add_{of}"), 10, || black_box(&mut accumulator).add(black_box(&grads[0]), 1))?;
    counted(&format!("accumulator_mean_{of}"), 10, || black_box(&accumulator).mean(black_box(&mut grads[0])))?;
    counted(&format!("clip_value_{of}"), 10, || clip_value(black_box(&mut grads), 0.5))?;
    // Each time to half of what it is.
    counted(&format!("clip_global_norm_{of}"), 10, || {
        let half = global_norm(&grads)? / 2.0;
        clip_global_norm(black_box(&mut grads), half).map(|norm| _ = black_box(norm))
    })?;
    let params = values::<f32>(LEN);
    counted(&format!("average_{of}"), 10, || {
        black_box(&mut average).update(black_box(&params))?;
        average.write_params(black_box(&mut grads[0]))
    })
}

#[cfg(feature = "half")]
fn halves() -> Result<(), Error> {
    use gradstep::MasterCopy;
    use half::{bf16, f16};

    step("master_copy_bf16", MasterCopy::new(Momentum::new(1e-3, 0.9, LEN)?, &values::<bf16>(LEN))?, LEN)?;
    step("master_copy_f16", MasterCopy::new(Momentum::new(1e-3, 0.9, LEN)?, &values::<f16>(LEN))?, LEN)?;
    passes::<bf16>("bf16")?;
    passes::<f16>("f16")
}

fn draws<F: DrawFloat + Default>(of: &str) -> Result<(), Error> {
    let (mut draws, mut out) = (Draws::new("counts", [0, 0], 1), [F::default(); LEN]);
    counted(&format!("uniform_{of}"), 10, || {
        draws.fill_uniform(black_box(&mut out));
        Ok(())
    })?;
    counted(&format!("normal_{of}"), 10, || {
        draws.fill_normal(black_box(&mut out));
        Ok(())
    })
}

fn main() -> Result<(), Error> {
    small_calls()?;
    rules::<f32>("f32")?;
    rules::<f64>("f64")?;
    passes::<f32>("f32")?;
    passes::<f64>("f64")?;
    #[cfg(feature = "half")]
    halves()?;
    draws::<f32>("f32")?;
    draws::<f64>("f64")?;
    // Long enough to be counted into buckets before it is shuffled.
    let batcher = Batcher::new(1_100_000, 10, 1)?;
    let mut epoch = batcher.epoch(0);
    counted("epoch_of_1_100_000", 1, || {
        black_box(&mut epoch).refill(0);
        Ok(())
    })
}
