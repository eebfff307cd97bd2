//! Trains from a file that is larger than the memory that the program allows itself. README.md says how to run it.

mod ahead;
#[path = "../../common/checkpoint.rs"]
mod checkpoint;
#[path = "../../common/data.rs"]
mod data;
mod file;
#[path = "../../common/network.rs"]
mod network;

use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

use ahead::{Feed, Readable};
use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use data::Samples;
use file::Rows;
use gradstep::{Batcher, Blocks, Momentum, Optimizer, Position, Restore, Schedule, Sequential};
use network::Network;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Trains a small network from a file that is larger than memory.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the file: images with noise, sorted by label
    Make {
        file: PathBuf,
        /// The length of the file, in MiB
        #[arg(long, default_value_t = 1024)]
        size: u64,
        /// A folder with the four files of MNIST, raw or .gz [default: the digits in examples/data]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Train from the file
    Train {
        #[command(flatten)]
        run: Run,
        /// The checkpoint's file: resumed from, if it exists
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The number of steps from one checkpoint to the next
        #[arg(long, default_value_t = 2000)]
        save_every: u64,
        /// Stop after this step of the run, with a checkpoint
        #[arg(long, value_name = "STEP")]
        stop_at: Option<u64>,
    },
    /// Only read, and print how many samples come per second
    Read {
        #[command(flatten)]
        run: Run,
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
}

#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Way {
    /// Rows come in the order of the file
    File,
    /// A full shuffle: one read per row
    Rows,
    /// Windows of blocks
    Windows,
}

#[derive(Args)]
struct Run {
    file: PathBuf,
    /// How the file is read
    #[arg(long, value_enum, default_value_t = Way::Windows)]
    order: Way,
    /// The memory, in MiB, to which the operating system limits the program
    #[arg(long, default_value_t = 256)]
    memory: u64,
    /// The number of rows in a block
    #[arg(long, default_value_t = 128)]
    block_len: u64,
    /// The number of blocks that are shuffled together
    #[arg(long, default_value_t = 640)]
    blocks_per_window: u64,
    /// The number of lanes of a window
    #[arg(long, default_value_t = 12)]
    lanes: u64,
    /// The number of readers that share the lanes
    #[arg(long, default_value_t = 1)]
    readers: u64,
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// The number of hidden units
    #[arg(long, default_value_t = 16)]
    hidden: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// All that decides the rest of the run, apart from the rows to train on and the code.
#[derive(Serialize, Deserialize)]
struct State {
    settings: String,
    params: Vec<f32>,
    momentum: Momentum<f32>,
    position: Position,
}

const LEARNING_RATE: f64 = 0.02; // of the first step; it falls along a cosine to 0

fn main() {
    if let Err(error) = start() {
        eprintln!("error: {error:#}");
        process::exit(1);
    }
}

fn start() -> Result<()> {
    match Options::parse().command {
        Command::Make { file, size, data } => {
            let split = data.map_or_else(data::digits, |dir| data::mnist(&dir))?;
            let rows = file::make(&file, bytes(size)?, &split)?;
            println!("{}: {rows} rows of {} bytes, sorted by label", file.display(), 1 + split.train.inputs);
            Ok(())
        }
        Command::Train { run, checkpoint, save_every, stop_at } => {
            ensure!(save_every > 0, "save-every is 0, expected at least 1");
            limit(&run)?;
            let checkpoint = checkpoint.as_deref().map(|path| (path, save_every));
            run.by_order(Task::Train(checkpoint, stop_at.unwrap_or(u64::MAX)))
        }
        Command::Read { run, seconds } => {
            limit(&run)?;
            run.by_order(Task::Read(Duration::try_from_secs_f64(seconds)?))
        }
    }
}

fn bytes(mib: u64) -> Result<u64> {
    mib.checked_mul(1 << 20).with_context(|| format!("{mib} MiB are too many"))
}

/// From here on, an allocation beyond `memory` fails.
fn limit(run: &Run) -> Result<()> {
    ensure!(run.memory > 0, "memory is 0, expected at least 1"); // Linux takes a limit of 0 for none
    let mut limit = getrlimit(Resource::Data);
    limit.current = Some(bytes(run.memory)?);
    setrlimit(Resource::Data, limit).with_context(|| format!("memory of {} MiB: not limited", run.memory))?;
    let len = run.file.metadata().with_context(|| run.file.display().to_string())?.len();
    println!("{}: {} MiB; memory: {} MiB", run.file.display(), len >> 20, run.memory);
    Ok(())
}

#[derive(Clone, Copy)]
enum Task<'a> {
    Read(Duration),
    /// With the checkpoint and how often it is saved, and up to a step.
    Train(Option<(&'a Path, u64)>, u64),
}

impl Run {
    fn by_order(&self, task: Task) -> Result<()> {
        let rows = Rows::open(&self.file)?.rows;
        // One read per row is a window of 1,024 blocks of a row each.
        let (block_len, blocks_per_window) = match self.order {
            Way::File => return self.by(Sequential::new(usize::try_from(rows)?)?, task),
            Way::Rows => (1, rows.min(1024)),
            Way::Windows => (self.block_len, self.blocks_per_window),
        };
        self.by(Blocks::new(rows, block_len, blocks_per_window, self.seed)?.with_lanes(self.lanes)?, task)
    }

    fn by<O: Readable>(&self, order: O, task: Task) -> Result<()> {
        match task {
            Task::Read(time) => self.read(order, time),
            Task::Train(checkpoint, stop_at) => self.train(order, checkpoint, stop_at),
        }
    }

    fn read<O: Readable>(&self, order: O, time: Duration) -> Result<()> {
        let batcher = Batcher::over(order, self.batch_size)?;
        let (start, mut samples, mut batch) = (Instant::now(), 0, Samples::default());
        let mut feed = Feed::new(&self.file, &batcher, &batcher.position(0, 0)?, self.readers)?;
        while start.elapsed() < time {
            feed.next_batch(&mut batch)?;
            samples += batch.len();
        }
        let rate = samples as f64 / start.elapsed().as_secs_f64();
        println!("{:?}: {rate:.0} samples per second, peak memory {} MiB", self.order, peak_memory()? >> 10);
        Ok(())
    }

    fn train<O: Readable>(&self, order: O, checkpoint: Option<(&Path, u64)>, stop_at: u64) -> Result<()> {
        let (inputs, held_out) = held_out(&self.file)?;
        let network = Network { inputs, hidden: self.hidden, classes: 10 };
        let batcher = Batcher::over(order, self.batch_size)?;
        let steps = self.epochs.checked_mul(batcher.batches_per_epoch() as u64).context("too many epochs")?;
        let schedule = Schedule::cosine(LEARNING_RATE, 0.0, steps)?;
        let mut state = State {
            settings: format!(
                "on_disk 1, {} epochs, {} hidden, held out {:08x}",
                self.epochs,
                self.hidden,
                crc32fast::hash(&held_out)
            ),
            params: network.initial(self.seed),
            momentum: Momentum::new(LEARNING_RATE, 0.9, network.len())?,
            position: batcher.position(0, 0)?,
        };
        if let Some((path, _)) = checkpoint {
            if let Some(saved) = checkpoint::load(path)? {
                state.resume(saved).with_context(|| path.display().to_string())?;
                println!("resumed at step {}", state.momentum.steps());
            }
        }

        let mut feed = Feed::new(&self.file, &batcher, &state.position, self.readers)?;
        let (start, first) = (Instant::now(), state.momentum.steps());
        let (mut samples, mut batch) = (0, Samples::default());
        let all = Vec::from_iter(0..self.batch_size.min(batcher.len()));
        let mut grads = vec![0.0; network.len()];
        loop {
            let step = state.momentum.steps();
            let at_end = step >= steps.min(stop_at);
            if let Some((path, _)) = checkpoint.filter(|(_, every)| step % every == 0 || at_end) {
                state.position = feed.position();
                checkpoint::save(path, &state)?;
                println!("step {step}: saved");
            }
            if at_end {
                break;
            }
            feed.next_batch(&mut batch)?;
            let loss = network.loss_and_gradient(&state.params, &batch, &all[..batch.len()], &mut grads);
            ensure!(loss.is_finite(), "the loss is {loss} in step {step}: the steps are too long");
            state.momentum.set_learning_rate(schedule.at(step))?;
            state.momentum.step(&mut state.params, &grads)?;
            samples += batch.len();
        }

        let rate = samples as f64 / start.elapsed().as_secs_f64();
        let steps = state.momentum.steps() - first;
        let peak = peak_memory()? >> 10;
        println!("{:?}: {steps} steps, {rate:.0} samples per second, peak memory {peak} MiB", self.order);
        println!("rows read: {:?}", feed.rows_read);
        println!("held-out accuracy: {:.2} %", 100.0 * accuracy(&network, &state.params, &held_out)?);
        let bytes: Vec<u8> = state.params.iter().flat_map(|param| param.to_le_bytes()).collect();
        println!("parameters: {:08x}", crc32fast::hash(&bytes)); // the same for any readers and any kills
        Ok(())
    }
}

impl State {
    fn resume(&mut self, saved: State) -> Result<()> {
        ensure!(saved.settings == self.settings, "saved by \"{}\", expected \"{}\"", saved.settings, self.settings);
        ensure!(saved.params.len() == self.params.len(), "other parameters");
        self.momentum.restore(saved.momentum)?;
        (self.params, self.position) = (saved.params, saved.position);
        Ok(())
    }
}

/// The number of pixels, and the held-out rows.
fn held_out(path: &Path) -> Result<(usize, Vec<u8>)> {
    let (mut file, mut rows) = (Rows::open(path)?, Vec::new());
    file.read(file.rows..file.rows + file.held_out, &mut rows).with_context(|| path.display().to_string())?;
    Ok((file.inputs, rows))
}

fn accuracy(network: &Network, params: &[f32], rows: &[u8]) -> Result<f64> {
    let (row_len, mut correct) = (1 + network.inputs, 0.0);
    // In parts, because as f32 they take four times the memory.
    for rows in rows.chunks(1000 * row_len) {
        let mut samples = Samples { inputs: network.inputs, ..Samples::default() };
        rows.chunks(row_len).try_for_each(|row| file::push(&mut samples, row))?;
        correct += network.accuracy(params, &samples) * samples.len() as f64;
    }
    Ok(correct / (rows.len() / row_len) as f64)
}

/// In KiB.
fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
