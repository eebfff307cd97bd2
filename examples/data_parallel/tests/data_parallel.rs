//! What README.md promises, by running the program under `mpirun`: the same run for any number of ranks.

#[expect(dead_code, reason = "the program saves")]
#[path = "../../common/checkpoint.rs"]
mod checkpoint;
#[path = "../src/state.rs"]
mod state;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use state::State;

const RANKS: [usize; 5] = [1, 2, 3, 4, 7];

const SMALL: [&str; 2] = ["--hidden=16", "--seed=3"];
/// 139 steps per epoch: of 7 blocks, the last of which has 4 samples, and one step of 3 blocks, fewer than ranks.
const UNEVEN: &str = "--batch-size=52";

fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    // Allows more ranks than cores, and root, as in a container. Idle ranks leave their core to the others.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.args(["--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "-n", &ranks.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_data_parallel"));
    command
}

fn run(ranks: usize, checkpoint: &Path, options: &[&str]) -> Output {
    mpirun(ranks).args(SMALL).args(options).arg("--checkpoint").arg(checkpoint).output().expect("mpirun is installed")
}

/// The lines that a successful run prints.
fn lines(output: Output) -> Vec<String> {
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

/// The final checkpoint, of a run from the beginning.
fn end(ranks: usize, options: &[&str]) -> Vec<u8> {
    let path = file(&format!("end-{ranks}{}", options.concat()));
    lines(run(ranks, &path, options));
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    bytes
}

/// A path where there is no checkpoint yet.
fn file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.checkpoint", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn loaded(path: &Path) -> State {
    checkpoint::load(path).unwrap().unwrap()
}

#[test]
fn exact_runs_have_the_same_bits_for_any_number_of_ranks() {
    for shape in [[UNEVEN, "--stop-at=150"], ["--batch-size=200", "--stop-at=40"]] {
        let options = [&["--exact"], &shape[..]].concat();
        let whole = end(1, &options);
        for ranks in RANKS {
            assert!(end(ranks, &options) == whole, "{ranks} ranks, {shape:?}");
            assert!(end(ranks, &[&["--sharded"], &options[..]].concat()) == whole, "{ranks} ranks, sharded, {shape:?}");
        }
    }
}

/// To rounding, which another platform's `exp` may change.
#[test]
fn the_readme_has_the_loss_of_the_first_epoch() {
    let said = lines(mpirun(1).output().unwrap());
    let first = said.iter().find_map(|line| line.strip_prefix("epoch  1  loss ")).unwrap();
    let (readme, _) = include_str!("../README.md").split_once(" after the first epoch").unwrap();
    let [loss, expected] =
        [first.split(' ').next(), readme.rsplit('(').next()].map(|word| word.unwrap().parse::<f64>().unwrap());
    assert!((loss - expected).abs() < 1e-3, "{loss}, but {expected} in README.md");
}

/// 1,210 parameters are 5 blocks, the last one shorter: of 4 and 7 ranks some have none.
#[test]
fn the_norm_of_the_whole_clips_each_shard() {
    let options = ["--max-norm=0.5", "--exact", UNEVEN, "--stop-at=150"];
    let whole = end(1, &options);
    for ranks in RANKS {
        for sharded in [&[][..], &["--sharded"]] {
            assert!(end(ranks, &[sharded, &options].concat()) == whole, "{ranks} ranks, {sharded:?}");
        }
    }

    // After one step the velocity is the clipped gradient times the learning rate, 0.1.
    let path = file("norm");
    for (max_norm, ranks) in [("0.5", 3), ("1000", 3), ("0.5", 1)] {
        let limit = format!("--max-norm={max_norm}");
        lines(run(ranks, &path, &["--sharded", "--stop-at=1", &limit]));
        let norm = |values: &[f32]| values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let clipped = norm(&loaded(&path).velocity) / 0.1;
        fs::remove_file(&path).unwrap();
        if max_norm == "0.5" {
            assert!((clipped / 0.5 - 1.0).abs() < 1e-6, "{ranks} ranks: {clipped}");
        } else {
            assert!((0.6..100.0).contains(&clipped), "the gradient was short, or clipped: {clipped}");
        }
    }
}

#[test]
fn other_runs_agree_to_rounding_and_sharded_ones_to_the_bit() {
    let path = file("rounding");
    let after = |ranks, options: &[&str]| {
        fs::write(&path, end(ranks, options)).unwrap();
        loaded(&path)
    };
    // A sample too many or too few shows most after the first steps.
    for stop_at in ["--stop-at=1", "--stop-at=2", "--stop-at=150"] {
        let exact = after(1, &["--exact", UNEVEN, stop_at]);
        for ranks in RANKS {
            let state = after(ranks, &[UNEVEN, stop_at]);
            assert_eq!((state.done, &state.position), (exact.done, &exact.position));
            for (values, expected) in [(state.params, &exact.params), (state.velocity, &exact.velocity)] {
                let largest = expected.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                let error = values.iter().zip(expected).fold(0.0_f32, |most, (x, y)| most.max((x - y).abs()));
                assert!(
                    error <= 1e-5 * largest,
                    "{ranks} ranks, {stop_at}: {error:e} away, the largest is {largest:e}"
                );
            }
            let sharded = end(ranks, &["--sharded", UNEVEN, stop_at]);
            assert!(sharded == end(ranks, &[UNEVEN, stop_at]), "{ranks} ranks, sharded, {stop_at}");
        }
    }
}

#[test]
fn another_number_of_ranks_resumes_from_a_checkpoint() {
    let options = ["--exact", UNEVEN, "--stop-at=150"];
    let whole = end(1, &options);
    let path = file("elastic");
    // An epoch is 139 steps: it resumes in mid-epoch, and across the end of one.
    for (ranks, done, more) in [(4, 60, &[][..]), (3, 100, &["--sharded"]), (1, 120, &[]), (2, 150, &["--sharded"])] {
        let stop_at = format!("--stop-at={done}");
        let said = lines(run(ranks, &path, &[&["--exact", UNEVEN, &stop_at], more].concat()));
        assert!(said.contains(&format!("step {done}: saved")), "{said:?}");
        assert_eq!(loaded(&path).done, done);
    }
    assert!(fs::read(&path).unwrap() == whole);
}

/// 60 steps of 64 samples on 4 ranks, then steps of 96 on 3, are to the bit the same run on one rank, also across the end of
/// an epoch.
#[test]
fn another_batch_size_resumes_from_a_checkpoint() {
    let [changed, alone] = [[4, 3], [1, 1]].map(|[before, after]| {
        let path = file(&format!("batch-size-{before}"));
        lines(run(before, &path, &["--exact", "--batch-size=64", "--stop-at=60"]));
        assert_eq!((loaded(&path).position.epoch(), loaded(&path).position.samples()), (0, 60 * 64));
        let larger = ["--exact", "--batch-size=96", "--new-batch-size"];
        lines(run(after, &path, &[&larger[..], &["--stop-at=94"]].concat()));
        // 7,200 - 3,840 samples are 35 batches of 96.
        assert_eq!((loaded(&path).position.epoch(), loaded(&path).position.samples()), (0, 3_840 + 34 * 96));
        lines(run(after, &path, &[&larger[..], &["--stop-at=97"]].concat()));
        assert_eq!((loaded(&path).position.epoch(), loaded(&path).position.samples()), (1, 2 * 96));
        fs::read(&path).unwrap()
    });
    assert!(changed == alone);
}

#[test]
fn a_killed_rank_ends_the_job_and_leaves_a_whole_checkpoint() {
    let options = ["--exact", UNEVEN, "--epochs=1000000"];
    let path = file("killed");
    for (ranks, victim) in [(2, 1), (3, 0), (2, 0), (4, 2)] {
        let mut job = mpirun(ranks);
        job.args(SMALL).args(options).arg("--checkpoint").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut job = job.spawn().unwrap();
        let mut said = BufReader::new(job.stdout.take().unwrap()).lines().map(Result::unwrap);
        let saves = said.by_ref().filter(|line| line.ends_with(": saved")).take(3);
        let seen: Vec<u64> = saves.map(|line| line.split([' ', ':']).nth(1).unwrap().parse().unwrap()).collect();
        kill(children(job.id())[victim]);
        said.for_each(drop);
        let job = job.wait_with_output().unwrap();
        let errors = String::from_utf8(job.stderr).unwrap();
        assert!(!job.status.success() && errors.contains("exited on signal 9 (Killed)"), "{errors}");
        assert!(loaded(&path).done >= seen[2], "saved at {}, seen {seen:?}", loaded(&path).done);
    }
    let stop_at = format!("--stop-at={}", loaded(&path).done + 77);
    let options = [&options[..], &[&stop_at]].concat();
    lines(run(3, &path, &options));
    assert!(fs::read(&path).unwrap() == end(1, &options));
}

/// mpirun's ranks, where all are on this machine.
fn children(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let parent = format!("PPid:\t{parent}\n");
    let is_child = |process: &u32| {
        fs::read_to_string(format!("/proc/{process}/status")).is_ok_and(|status| status.contains(&parent))
    };
    processes.filter(is_child).collect()
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
}

#[test]
fn sharded_state_is_as_long_as_the_parameters_over_the_ranks() {
    for (ranks, state) in [(1, 4 * 1210), (2, 4 * 605), (4, 4 * 303)] {
        let said = lines(mpirun(ranks).args(SMALL).args(["--stop-at=1", "--sharded", "--profile"]).output().unwrap());
        assert!(said.iter().any(|line| line.contains("- 10, 1210 parameters")), "{said:?}");
        let expected = format!("profile: bytes a rank: optimizer state {state}, ");
        assert!(said.iter().any(|line| line.starts_with(&expected)), "{said:?}");
    }
}

#[test]
fn an_error_is_printed_once() {
    let rejected = |ranks, path: &Path, options: &[&str], message: &str| {
        let output = run(ranks, path, options);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert_eq!(errors.matches("error on rank").count(), 1, "{errors}");
        assert!(errors.contains(message), "{errors}");
    };
    let path = file("rejected");
    rejected(3, &path, &["--batch-size=2"], "error on rank 0: world_size is 3, expected at most batch_size = 2");
    lines(run(2, &path, &["--exact", "--stop-at=1"]));
    rejected(2, &path, &["--stop-at=2"], "exact: true, max_norm: None }, expected Run {");
    rejected(2, &path, &["--exact", "--epochs=3"], "epochs: 20, exact: true, max_norm: None }, expected Run {");
    rejected(2, &path, &["--exact", "--max-norm=0.5"], "max_norm: None }, expected Run {");
    rejected(2, &path, &["--exact", "--max-norm=-1"], "max_norm is -1.0, expected a finite number above 0");
    rejected(2, &path, &["--exact", "--batch-size=96"], "saved batch_size is 64, expected 96");
    let mut bytes = fs::read(&path).unwrap();
    bytes.pop();
    fs::write(&path, bytes).unwrap();
    rejected(2, &path, &["--exact"], "cut off or added to");
}
