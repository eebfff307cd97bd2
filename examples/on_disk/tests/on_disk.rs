//! Tests each promise of README.md on a small file of the digits.

#[expect(dead_code, reason = "the program makes the file")]
#[path = "../../common/data.rs"]
mod data;
#[expect(dead_code, reason = "the program measures the accuracy")]
#[path = "../../common/network.rs"]
mod network;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use data::Samples;
use gradstep::{Batcher, Blocks, Momentum, Optimizer, Schedule};
use network::Network;

const MIB: u64 = 4;
/// Batches of 50 begin in one window and end in the next: there are 15 of some 4,200 rows.
const SMALL: [&str; 4] = ["--batch-size=50", "--block-len=16", "--blocks-per-window=270", "--seed=3"];

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_on_disk"));
    command.args(arguments);
    command
}

/// A path where there is no file yet.
fn path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

fn made() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = path("digits").into_os_string().into_string().unwrap();
        lines(&["make", &path, &format!("--size={MIB}")]);
        path
    })
}

/// What the program prints if it succeeds.
fn lines(arguments: &[&str]) -> Vec<String> {
    let output = program(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

/// What the program prints if it fails.
fn error(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn train(options: &[&str]) -> Vec<String> {
    lines(&[&["train", made()], &SMALL[..], options].concat())
}

/// The value after `name` in a line.
fn value<'a>(lines: &'a [String], name: &str) -> &'a str {
    lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {lines:?}")).trim()
}

fn digest(lines: &[String]) -> &str {
    value(lines, "parameters:")
}

fn accuracy(lines: &[String]) -> f64 {
    value(lines, "held-out accuracy:").trim_end_matches(" %").parse().unwrap()
}

/// The same run from memory: each sample of each batch, looked up in the whole file.
#[test]
fn the_rows_are_those_of_the_order() {
    let bytes = fs::read(made()).unwrap();
    assert_eq!(crc32fast::hash(&bytes), 0x7059_b363, "the same file everywhere");
    let number = |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap());
    let rows = number(2);
    assert_eq!((number(1), rows), (64, (MIB << 20) / 65 - 357));
    let row = |i: usize| &bytes[32 + 65 * i..32 + 65 * (i + 1)];
    assert!((1..rows as usize).all(|i| row(i - 1)[0] <= row(i)[0]), "sorted by label");

    let order = Blocks::new(rows, 16, 270, 3).unwrap().with_lanes(12).unwrap();
    let batcher = Batcher::over(order, 50).unwrap();
    let steps = 2 * batcher.batches_per_epoch() as u64;
    let network = Network { inputs: 64, hidden: 16, classes: 10 };
    let schedule = Schedule::cosine(0.02, 0.0, steps).unwrap();
    let mut momentum = Momentum::new(0.02, 0.9, network.len()).unwrap();
    let (mut params, mut grads) = (network.initial(3), vec![0.0; network.len()]);
    let mut stream = batcher.stream();
    for step in 0..steps {
        let batch = stream.next_batch().unwrap();
        let pixels = batch.iter().flat_map(|&i| &row(i)[1..]).map(|&pixel| f32::from(pixel) / 255.0).collect();
        let labels = batch.iter().map(|&i| row(i)[0]).collect();
        let all: Vec<usize> = (0..batch.len()).collect();
        network.loss_and_gradient(&params, &Samples { inputs: 64, pixels, labels }, &all, &mut grads);
        momentum.set_learning_rate(schedule.at(step)).unwrap();
        momentum.step(&mut params, &grads).unwrap();
    }
    let bytes: Vec<u8> = params.iter().flat_map(|param| param.to_le_bytes()).collect();
    assert_eq!(digest(&train(&["--epochs=2"])), format!("{:08x}", crc32fast::hash(&bytes)));
}

/// Readers divide the lanes: each row of an epoch is read by one of them, and the run is the same.
#[test]
fn any_number_of_readers_gives_the_same_bits() {
    let one = train(&["--epochs=2"]);
    let rows = (MIB << 20) / 65 - 357;
    for readers in 1..=4 {
        let lines = train(&["--epochs=2", &format!("--readers={readers}")]);
        assert_eq!(digest(&lines), digest(&one), "{readers} readers");
        let read = value(&lines, "rows read:").trim_matches(['[', ']']).split(", ").map(|n| n.parse().unwrap());
        let read: Vec<u64> = read.collect();
        assert_eq!((read.len(), read.iter().sum::<u64>()), (readers, 2 * rows));
        assert!(read.iter().all(|&read| read.abs_diff(2 * rows / readers as u64) < rows / 50), "{read:?}");
    }
    for order in ["--order=file", "--order=rows"] {
        assert_eq!(digest(&train(&[order, "--readers=3"])), digest(&train(&[order])), "{order}");
    }
}

/// Killed a few steps after every third checkpoint, and resumed with another number of readers.
#[test]
fn a_killed_run_ends_with_the_same_bits() {
    for order in ["--order=windows", "--order=rows", "--order=file"] {
        let checkpoint = path("killed.checkpoint");
        let saving = [order, "--epochs=2", "--save-every=90", "--checkpoint", checkpoint.to_str().unwrap()];
        let mut kills = 0;
        let resumed = loop {
            let readers = format!("--readers={}", 1 + kills % 4);
            let arguments = [&["train", made(), &readers], &SMALL[..], &saving].concat();
            let mut child = program(&arguments).stdout(Stdio::piped()).spawn().unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let saved = output.by_ref().filter(|line| line.ends_with("saved")).nth(2);
            if saved.is_none() || kills == 8 {
                assert!(child.wait().unwrap().success());
                break train(&saving); // which prints the end of the run again
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        };
        assert!(kills > 4, "{kills} kills");
        assert_eq!(digest(&resumed), digest(&train(&saving[..2])), "{order}");
    }
}

/// 8 MiB of memory hold neither the file, whose rows are 32 MiB, nor windows of half of it.
#[test]
fn a_file_larger_than_memory() {
    let file = path("large");
    let file = file.to_str().unwrap();
    lines(&["make", file, "--size=32"]);
    let train = ["train", file, "--memory=8", "--block-len=64"];
    let read = lines(&[&train[..], &["--blocks-per-window=300"]].concat());
    assert!(accuracy(&read) > 60.0, "{read:?}");
    let message = error(&[&train[..], &["--blocks-per-window=4000"]].concat());
    assert!(message.contains("memory"), "{message}");
    fs::remove_file(file).unwrap();
}

#[test]
fn sorted_rows_must_be_shuffled() {
    let [file, rows, windows] = ["file", "rows", "windows"]
        .map(|order| accuracy(&train(&["--epochs=3", "--readers=4", &format!("--order={order}")])));
    assert!(file < 30.0 && rows > 65.0 && windows > 65.0, "{file} {rows} {windows}");
}

#[test]
fn errors_say_what_is_wrong() {
    let file = path("wrong");
    let name = file.to_str().unwrap();
    let trained = |options: &[&str], expected: &str| {
        let name_of = |option: &str| option.split('=').next().map(String::from);
        let small = SMALL.into_iter().filter(|small| options.iter().all(|option| name_of(option) != name_of(small)));
        let message = error(&[&["train", name], &Vec::from_iter(small)[..], options].concat());
        assert!(message.starts_with("error: ") && message.contains(expected), "{message}");
    };
    trained(&[], "No such file");
    fs::write(&file, [0; 8192]).unwrap();
    trained(&[], "not a file of `on_disk make`");
    fs::copy(made(), &file).unwrap();
    OpenOptions::new().write(true).open(&file).unwrap().set_len((MIB << 20) - 4096).unwrap();
    trained(&[], "cut off or added to: 4190208 bytes, expected 4194304");
    fs::copy(made(), &file).unwrap();
    trained(&["--readers=13"], "world_size is 13, expected at most lanes = 12");
    trained(&["--readers=0"], "readers is 0");
    trained(&["--blocks-per-window=4043"], "blocks_per_window");
    trained(&["--memory=0"], "memory is 0");

    let checkpoint = path("wrong.checkpoint");
    let checkpoint = ["--stop-at=10", "--checkpoint", checkpoint.to_str().unwrap()];
    train(&checkpoint);
    trained(&[&checkpoint[..], &["--seed=4"]].concat(), "saved seed is 3, expected 4");
    trained(&[&checkpoint[..], &["--order=rows"]].concat(), "saved block_len is 16, expected 1");
    trained(&[&checkpoint[..], &["--hidden=4"]].concat(), "16 hidden");

    assert!(error(&["make", name, "--size=0"]).contains("size is 0, expected at least"));
    // A full disk leaves what was there, and nothing half written.
    let unfinished = path("wrong.tmp");
    symlink("/dev/full", &unfinished).unwrap();
    let message = error(&["make", name, "--size=1"]);
    assert!(message.contains("not written: No space left on device"), "{message}");
    assert!(!unfinished.is_symlink() && fs::read(&file).unwrap() == fs::read(made()).unwrap());
}
