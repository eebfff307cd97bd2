//! Trains the digits network on N MPI ranks: the same samples in every step, whatever N. README.md says how to run it.
//!
//! Each rank computes the gradient of its shard of every global batch. The two halves of an all-reduce add these up: first
//! every rank gets its 1/N of the sum, then all parts go to all ranks. Between the two, a rank can instead step its part and
//! send the parameters: it then needs only the velocity of its part.

#[path = "../../common/checkpoint.rs"]
mod checkpoint;
#[path = "../../common/data.rs"]
mod data;
mod exact;
#[path = "../../common/network.rs"]
mod network;
mod profile;
mod state;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use clap::Parser;
use gradstep::{Batcher, Grads, Momentum, Optimizer, Schedule, clip_scale};
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;
use network::Network;
use profile::{Phase, Profile};
use state::{Run, State};

/// Trains a small neural network on handwritten digits, on any number of MPI ranks.
#[derive(Parser)]
struct Options {
    /// Add the gradients in an order that does not depend on the number of ranks: the same parameters to the bit
    #[arg(long)]
    exact: bool,
    /// Split the optimizer's state over the ranks
    #[arg(long)]
    sharded: bool,
    /// Clip the gradient, of all parameters together, to this norm
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    max_norm: Option<f64>,
    /// The checkpoint's file: it is saved every 50 steps and at the end, and resumed from
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Stop after this step of the run, with a checkpoint
    #[arg(long, value_name = "STEP")]
    stop_at: Option<u64>,
    /// The number of samples in a batch, of all ranks together
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// Resume with --batch-size where the checkpoint was saved with another
    #[arg(long)]
    new_batch_size: bool,
    /// The number of passes over the training samples [default: 20, with --data 10]
    #[arg(long)]
    epochs: Option<u64>,
    /// The number of hidden units
    #[arg(long, default_value_t = 256)]
    hidden: usize,
    /// The seed of the initial weights and of the order of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A folder with the four files of MNIST, raw or .gz, to use in place of the embedded digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print where the time of a step went, and the memory of a rank
    #[arg(long)]
    profile: bool,
}

const LEARNING_RATE: f64 = 0.1; // of the first step; it falls along a cosine to 0
const STEPS_PER_CHECKPOINT: u64 = 50; // In a long run, save every few minutes instead.

fn main() -> Result<()> {
    let options = Options::parse();
    let universe = mpi::initialize().context("MPI did not start")?;
    let world = universe.world();
    if let Err(error) = train(&options, &world) {
        let message = format!("error on rank {}: {error:#}\n", world.rank());
        if world.rank() > 0 {
            thread::sleep(Duration::from_secs(1)); // an error of all ranks comes from rank 0
        }
        eprint!("{message}");
        world.abort(1); // the others may be waiting for this one
    }
    Ok(())
}

fn train(options: &Options, world: &SimpleCommunicator) -> Result<()> {
    let (rank, ranks) = (world.rank() as usize, world.size() as usize);
    let prepare = || {
        let (name, data, epochs) = match &options.data {
            None => ("digits", data::digits()?, 20),
            Some(dir) => ("MNIST", data::mnist(dir)?, 10),
        };
        let epochs = options.epochs.unwrap_or(epochs);
        ensure!(epochs >= 1, "epochs is 0, expected at least 1");
        ensure!(options.hidden >= 1, "hidden is 0, expected at least 1");
        options.max_norm.map(|max_norm| clip_scale(0.0, max_norm)).transpose()?; // rejects an invalid one before training
        let batcher = Batcher::new(data.train.len(), options.batch_size, options.seed)?;
        let shard = batcher.shard(rank, ranks)?;
        Ok((name, data, epochs, batcher, shard))
    };
    let (name, data, epochs, batcher, shard) = agreed(prepare(), world)?;
    let network = Network { inputs: data.train.inputs, hidden: options.hidden, classes: 10 };
    // The schedule counts samples and not steps, so that it is the same with another batch size.
    let samples_per_epoch = batcher.samples_per_epoch() as u64;
    let schedule = Schedule::cosine(LEARNING_RATE, 0.0, epochs.saturating_mul(samples_per_epoch))?;

    let run = Run {
        program: "data_parallel, version 3".to_string(),
        data: name.to_string(),
        parameters: network.len(),
        epochs,
        exact: options.exact,
        max_norm: options.max_norm,
    };
    let mut state = State {
        run: run.clone(),
        done: 0,
        position: batcher.position(0, 0)?,
        params: network.initial(options.seed),
        velocity: vec![0.0; network.len()],
    };
    if rank == 0 {
        println!("{name}: {} training samples, {} held out, on {ranks} ranks", data.train.len(), data.held_out.len());
        let Network { inputs, hidden, classes } = network;
        println!("network: {inputs} - {hidden} - {classes}, {} parameters", network.len());
    }
    if let Some(path) = &options.checkpoint {
        if let Some(saved) = load(path, world)? {
            let other = || format!("{}: saved by {:?}, expected {run:?}", path.display(), saved.run);
            agreed((saved.run == run).then_some(()).with_context(other), world)?;
            state = saved;
            if rank == 0 {
                println!("resumed at step {}", state.done);
            }
        }
    }
    let stream = if options.new_batch_size {
        batcher.resume_with_new_batch_size(&state.position)
    } else {
        batcher.resume(&state.position)
    };
    let mut stream = agreed(stream.map_err(Error::from), world)?;

    // Zeros at the end make the ranks' parts equally long, and stay zeros. A norm needs whole blocks in each part.
    let block = if options.max_norm.is_some() { exact::NORM_BLOCK } else { 1 };
    let part_len = block * network.len().div_ceil(block * ranks);
    let own = rank * part_len..(rank + 1) * part_len;
    let [mut params, velocity] = [state.params, state.velocity].map(|mut whole| {
        whole.resize(ranks * part_len, 0.0);
        whole
    });
    let velocity = if options.sharded { velocity[own.clone()].to_vec() } else { velocity };
    let mut momentum = Momentum::new(LEARNING_RATE, 0.9, velocity.len())?.with_velocity(&velocity, state.done)?;
    drop(velocity);
    let mut part = vec![0.0; part_len];
    let mut grads = vec![0.0; params.len()];
    let mut buffers = exact::Buffers::default();

    let (mut loss, mut samples) = (0.0, 0);
    let mut profile = Profile::new();
    loop {
        let (done, position) = (momentum.steps(), stream.position());
        let at_end = position.epoch() >= epochs || options.stop_at.is_some_and(|step| done >= step);
        if let Some(path) = &options.checkpoint {
            if done % STEPS_PER_CHECKPOINT == 0 || at_end {
                let mut velocity = momentum.velocity().to_vec();
                if options.sharded {
                    velocity = gather(&velocity, world);
                }
                if rank == 0 {
                    velocity.truncate(network.len());
                    let params = params[..network.len()].to_vec();
                    let position = position.clone();
                    checkpoint::save(path, &State { run: run.clone(), done, position, params, velocity })?;
                    println!("step {done}: saved");
                }
            }
        }
        if at_end {
            break;
        }

        let batch = stream.next_batch().context("the stream has ended")?;
        momentum.set_learning_rate(schedule.at(position.epoch() * samples_per_epoch + position.samples()))?;
        profile.start();

        // Writes the sum over `samples` to `grads`.
        let mut gradient = |samples: &[usize], grads: &mut [f32]| {
            let len = network.len();
            if samples.is_empty() {
                return grads.fill(0.0);
            }
            grads[len..].fill(0.0);
            let mean = network.loss_and_gradient(&params[..len], &data.train, samples, &mut grads[..len]);
            loss += mean * samples.len() as f64;
            grads.iter_mut().for_each(|g| *g *= samples.len() as f32);
        };
        let tree = options.exact.then(|| exact::Tree::new(&batcher, batch, ranks)).transpose()?;
        match &tree {
            Some(tree) => tree.sum(rank, batch, params.len(), &mut buffers, gradient),
            None => gradient(shard.of(batch), &mut grads),
        }
        ensure!(loss.is_finite(), "the loss is {loss} in step {done}: the steps are too long");
        profile.lap(Phase::Gradient);
        if options.profile {
            world.barrier();
            profile.lap(Phase::Wait);
        }

        match &tree {
            Some(tree) => tree.reduce_scatter(world, &mut buffers, &mut part),
            None => world.reduce_scatter_block_into(&grads[..], &mut part[..], SystemOperation::sum()),
        }
        part.iter_mut().for_each(|g| *g /= batch.len() as f32);
        let scale = match options.max_norm {
            Some(max_norm) => clip_scale(exact::norm(world, &part, network.len())?, max_norm)?,
            None => 1.0,
        };
        profile.lap(Phase::Reduce);

        if options.sharded {
            momentum.step_with(&mut params[own.clone()], Grads::new(&part).scaled(scale))?;
            part.copy_from_slice(&params[own.clone()]);
            profile.lap(Phase::Update);
            world.all_gather_into(&part[..], &mut params[..]);
            profile.lap(Phase::Gather);
        } else {
            world.all_gather_into(&part[..], &mut grads[..]);
            profile.lap(Phase::Gather);
            momentum.step_with(&mut params, Grads::new(&grads).scaled(scale))?;
            profile.lap(Phase::Update);
        }
        samples += batch.len();

        if stream.is_epoch_end() {
            let mut total = 0.0;
            world.all_reduce_into(&loss, &mut total, SystemOperation::sum());
            if rank == 0 {
                let epoch = stream.position().epoch();
                let accuracy = 100.0 * network.accuracy(&params[..network.len()], &data.held_out);
                println!("epoch {epoch:2}  loss {:.6}  held-out {accuracy:.2} %", total / samples as f64);
            }
            (loss, samples) = (0.0, 0);
        }
    }

    if rank == 0 {
        let params = &params[..network.len()];
        println!("held-out accuracy: {:.2} %", 100.0 * network.accuracy(params, &data.held_out));
        let bytes: Vec<u8> = params.iter().flat_map(|param| param.to_le_bytes()).collect();
        println!("parameters: {:08x}", crc32fast::hash(&bytes));
    }
    if options.profile {
        profile.print(world, size_of_val(momentum.velocity()));
    }
    Ok(())
}

/// Returns `result` if it is `Ok` on all ranks. Otherwise the first rank that failed returns its error, and the others wait
/// for the end, so that an error of all ranks is printed once.
fn agreed<T>(result: Result<T>, world: &SimpleCommunicator) -> Result<T> {
    let (rank, ranks) = (world.rank(), world.size());
    let mut first_failed = ranks;
    world.all_reduce_into(&if result.is_ok() { ranks } else { rank }, &mut first_failed, SystemOperation::min());
    if first_failed < ranks && first_failed != rank {
        world.barrier(); // which the failed rank never reaches
    }
    result
}

/// Returns on every rank what rank 0 finds at `path`.
fn load(path: &Path, world: &SimpleCommunicator) -> Result<Option<State>> {
    let found = || Ok(postcard::to_allocvec(&checkpoint::load::<State>(path)?)?);
    let mut bytes = agreed(if world.rank() == 0 { found() } else { Ok(Vec::new()) }, world)?;
    let mut len = bytes.len();
    world.process_at_rank(0).broadcast_into(&mut len);
    bytes.resize(len, 0);
    world.process_at_rank(0).broadcast_into(&mut bytes[..]);
    Ok(postcard::from_bytes(&bytes)?)
}

/// Returns all ranks' parts one after another on rank 0, and nothing on the others.
fn gather(part: &[f32], world: &SimpleCommunicator) -> Vec<f32> {
    let root = world.process_at_rank(0);
    if world.rank() > 0 {
        root.gather_into(part);
        return Vec::new();
    }
    let mut whole = vec![0.0; part.len() * world.size() as usize];
    root.gather_into_root(part, &mut whole[..]);
    whole
}
