//! `examples/resume.rs`, killed again and again in mid-run, ends with the same bits as a run that nothing disturbed. It
//! rejects a checkpoint that is damaged, unreadable, or saved by another program or with other settings. Where it
//! cannot write a checkpoint, the last one stays.
//!
//! `cargo test --test resume -- --ignored --nocapture killed` is the long form: 100 runs.

#[path = "../examples/common/checkpoint.rs"]
mod checkpoint;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

// The program ---------------------------------------------------------------------------------------------------------

/// Cargo builds it here, since this test may be built without the examples and without the feature. In tests/portable it
/// is built already, for a machine that `RUNNER` imitates.
fn program() -> Command {
    if let Some(path) = option_env!("CARGO_BIN_EXE_resume") {
        let Some(runner) = env::var_os("RUNNER") else { return Command::new(path) };
        let mut program = Command::new(runner);
        program.arg(path);
        return program;
    }
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let path = PROGRAM.get_or_init(|| {
        let build = Command::new(env!("CARGO"))
            .args(["build", "--profile=test", "--features=serde", "--example=resume", "--message-format=json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(build.status.success());
        let messages = serde_json::Deserializer::from_slice(&build.stdout).into_iter::<serde_json::Value>();
        messages.filter_map(|message| message.unwrap()["executable"].as_str().map(PathBuf::from)).last().unwrap()
    });
    Command::new(path)
}

fn run(checkpoint: &Path, options: &[&str]) -> Output {
    program().arg(checkpoint).args(options).output().unwrap()
}

/// Starts the program, and kills it `delay` after it has printed `lines` lines. Returns whether it ended before that,
/// and what it printed. Panics if it printed an error.
fn killed(checkpoint: &Path, lines: usize, delay: Duration) -> (bool, Vec<String>) {
    let mut child = program().arg(checkpoint).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = output.by_ref().take(lines).collect();
    thread::sleep(delay);
    child.kill().unwrap(); // SIGKILL, which a program cannot handle
    said.extend(output);
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    (status.success(), said)
}

/// The final checkpoint (parameters, velocity, position: all there is), and the lines with accuracy and digest.
type End = (Vec<u8>, Vec<String>);

fn end(checkpoint: &Path, said: impl Iterator<Item = String>) -> End {
    (fs::read(checkpoint).unwrap(), said.skip_while(|line| !line.starts_with("held-out accuracy:")).collect())
}

/// The end of a run from `checkpoint` on that nothing disturbs.
fn undisturbed(checkpoint: &Path) -> End {
    let output = run(checkpoint, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let end = end(checkpoint, String::from_utf8(output.stdout).unwrap().lines().map(String::from));
    assert_eq!(end.1.len(), 2);
    end
}

/// Gives each test its own directory, which stays if the test fails.
fn in_directory(name: &str, test: impl FnOnce(&Path)) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("resume-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    test(&directory);
    fs::remove_dir_all(&directory).unwrap();
}

fn files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

// Killed --------------------------------------------------------------------------------------------------------------

/// The step that is saved when the program prints `line`.
fn step(line: &str) -> u64 {
    let number = line.strip_prefix("resumed at step ").or(line.strip_prefix("step ")).unwrap_or("0");
    number.split([':', ' ']).next().unwrap().parse().unwrap()
}

/// Kills and starts one run again until it ends. Returns the number of kills, and of those between a checkpoint's
/// creation and its renaming. A kill waits for some checkpoints and then for some microseconds, so that it may fall
/// into a step, a save, or the start.
///
/// The seed draws the moments and the scheduler shifts them, but what is asserted holds for every moment. A run that
/// ended before any kill shows nothing and is repeated.
fn killed_run(directory: &Path, seed: u64, expected: &End) -> [u32; 2] {
    let mut words = ChaCha8Rng::seed_from_u64(seed);
    let path = directory.join("checkpoint");
    let (mut kills, mut kills_in_mid_save, mut saved) = (0, 0, None);
    loop {
        let delay = Duration::from_micros(u64::from(words.next_u32() % 8000));
        let (finished, said) = killed(&path, words.next_u32() as usize % 12, delay);
        if let (Some(saved), Some(first)) = (saved, said.first()) {
            assert!(first.starts_with("resumed at step ") && step(first) >= saved, "{saved} was saved, but: {first}");
        }
        saved = said.iter().map(|line| step(line)).max().or(saved);
        if !finished {
            kills += 1;
            kills_in_mid_save += u32::from(directory.join("checkpoint.tmp").exists());
        } else if kills == 0 {
            fs::remove_file(&path).unwrap();
            saved = None;
        } else {
            assert!(end(&path, said.into_iter()) == *expected, "run {seed} came to another end");
            assert_eq!(files(directory), ["checkpoint"]);
            return [kills, kills_in_mid_save];
        }
    }
}

fn killed_runs(name: &str, runs: u64) {
    in_directory(name, |directory| {
        let expected = undisturbed(&directory.join("undisturbed"));
        let run = |seed: u64| {
            let directory = directory.join(seed.to_string());
            fs::create_dir(&directory).unwrap();
            killed_run(&directory, seed, &expected)
        };
        let kills = thread::scope(|scope| {
            let every_fourth = |first| move || (first..runs).step_by(4).map(run).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|first| scope.spawn(every_fourth(first))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let [all, in_mid_save] = [0, 1].map(|kind| kills.iter().map(|kills| kills[kind]).sum::<u32>());
        println!("{} runs, {all} kills, {in_mid_save} of them in mid-save: the same end each time", kills.len());
    });
}

#[test]
fn killed_in_mid_run() {
    killed_runs("short", 4);
}

#[test]
#[ignore = "the long form"]
fn killed_in_mid_run_100_times() {
    killed_runs("long", 100);
}

/// What a kill between creation and renaming leaves, with no checkpoint yet and with one.
#[test]
fn an_unfinished_checkpoint_is_no_checkpoint() {
    in_directory("unfinished", |directory| {
        let expected = undisturbed(&directory.join("undisturbed"));
        let path = directory.join("checkpoint");
        let leave_unfinished = || fs::write(directory.join("checkpoint.tmp"), &expected.0[..1000]).unwrap();

        leave_unfinished();
        assert!(undisturbed(&path) == expected);
        fs::remove_file(&path).unwrap();

        killed(&path, 7, Duration::ZERO);
        leave_unfinished();
        assert!(undisturbed(&path) == expected);
        assert_eq!(files(directory), ["checkpoint", "undisturbed"]);
    });
}

// Rejected ------------------------------------------------------------------------------------------------------------

/// What a run that ends with exit code 1 says after the checkpoint's name.
fn error(output: Output, checkpoint: &Path) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let message = said.strip_prefix(&format!("error: {}: ", checkpoint.display()));
    message.unwrap_or_else(|| panic!("{said}")).trim_end().to_string()
}

/// The error of a run that did nothing else: the checkpoint still holds `before`, and no file was added.
fn rejection(output: Output, checkpoint: &Path, before: &[u8]) -> String {
    assert_eq!(output.stdout, b"");
    assert!(fs::read(checkpoint).unwrap() == before);
    assert_eq!(files(checkpoint.parent().unwrap()), ["checkpoint"]);
    error(output, checkpoint)
}

#[test]
fn another_runs_checkpoint_is_rejected() {
    in_directory("settings", |directory| {
        let path = directory.join("checkpoint");
        let (saved, _) = undisturbed(&path);
        for (option, message) in [
            ("--seed=1", "saved seed is 0, expected 1"),
            ("--batch-size=16", "saved batch_size is 32, expected 16"),
            ("--learning-rate=0.2", "saved learning_rate is 0.1, expected 0.2"),
            ("--steps=700", "saved number of steps is 600, expected 700"),
        ] {
            assert_eq!(rejection(run(&path, &[option]), &path, &saved), message);
        }
    });
}

#[test]
fn a_damaged_or_foreign_checkpoint_is_rejected() {
    in_directory("damaged", |directory| {
        let path = directory.join("checkpoint");
        let (good, _) = undisturbed(&path);
        let rejected = |bytes: &[u8], message: &str| {
            fs::write(&path, bytes).unwrap();
            assert_eq!(rejection(run(&path, &[]), &path, bytes), message);
        };

        let expected = r#"expected "resume.rs checkpoint, version 3\n""#;
        let begins = |with| format!(r#"not a checkpoint of this version: it begins with "{with}", {expected}"#);
        rejected(b"", &begins(""));
        rejected(&good[..6], &begins("resume"));
        rejected(b"\xff\xd8\xff\xe0\x00\x10JFIF", &begins(r"\xff\xd8\xff\xe0\x00\x10JFIF"));
        rejected(b"resume.rs is a program that saves as it goes.\n", &begins("resume.rs is a program that save"));
        let other_version = [b"resume.rs checkpoint, version 4\n", &good[32..]].concat();
        rejected(&other_version, &begins(r"resume.rs checkpoint, version 4\n"));

        const HEADER: usize = 32 + 8 + 4;
        let len = good.len() - HEADER;
        let lengths = |found| format!("cut off or added to: {found} bytes of state, expected {len}");
        rejected(&good[..40], "cut off in its header, after 40 bytes");
        rejected(&good[..HEADER], &lengths(0));
        rejected(&good[..HEADER + len / 2], &lengths(len / 2));
        rejected(&[&good[..], b"\n"].concat(), &lengths(len + 1));

        let mut flipped = good.clone();
        flipped[HEADER + len / 2] ^= 1;
        let [found, expected] = [&flipped, &good].map(|bytes| crc32fast::hash(&bytes[HEADER..]));
        rejected(&flipped, &format!("damaged: the state's checksum is {found:08x}, expected {expected:08x}"));

        checkpoint::save(&path, &"a text").unwrap();
        let another = fs::read(&path).unwrap();
        assert!(rejection(run(&path, &[]), &path, &another).starts_with("another state than this program's: "));
    });
}

/// The program saves once before the first step, so that it does not fail after hours.
#[test]
fn a_place_that_cannot_be_written_to_is_rejected() {
    in_directory("place", |directory| {
        let path = directory.join("missing/checkpoint");
        let output = run(&path, &[]);
        assert_eq!(output.stdout, b"");
        assert!(error(output, &path).starts_with("not saved: "));
        assert!(files(directory).is_empty());
    });
}

/// A run that another program starts.
#[cfg(target_os = "linux")]
fn started(by: &[&str], checkpoint: &Path) -> Output {
    let program = program();
    let words = program.get_args();
    Command::new(by[0]).args(&by[1..]).arg(program.get_program()).args(words).arg(checkpoint).output().unwrap()
}

/// Stops a run, spoils its directory, and starts it again `by` another program: it cannot save, and says the `reason`.
/// The last checkpoint is still there, and a run from it on ends as usual.
#[cfg(target_os = "linux")]
fn spoiled(name: &str, by: &[&str], [spoil, mend]: [&dyn Fn(&Path); 2], reason: &str) {
    in_directory(name, |directory| {
        let expected = undisturbed(&directory.join("undisturbed"));
        let path = directory.join("checkpoint");
        killed(&path, 7, Duration::ZERO);
        let _ = fs::remove_file(directory.join("checkpoint.tmp"));
        let before = fs::read(&path).unwrap();

        spoil(directory);
        let output = started(by, &path);
        mend(directory);
        assert_eq!(error(output, &path), format!("not saved: {reason}"));
        assert!(fs::read(&path).unwrap() == before);
        assert!(undisturbed(&path) == expected);
    });
}

/// Nothing can be written, or only a part.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_the_last_checkpoint() {
    let unfinished = |directory: &Path| directory.join("checkpoint.tmp");
    let full = |directory: &Path| std::os::unix::fs::symlink("/dev/full", unfinished(directory)).unwrap();
    let mend = |directory: &Path| fs::remove_file(unfinished(directory)).unwrap();
    spoiled("full", &["env"], [&full, &mend], "No space left on device (os error 28)");
    // Where the signal for a file that grows too long is ignored, writing returns an error.
    let limit = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let mend = |directory: &Path| assert!(fs::metadata(unfinished(directory)).unwrap().len() > 0);
    spoiled("limit", &["sh", "-c", limit, "sh"], [&|_| (), &mend], "File too large (os error 27)");
}

/// A real file system, without room for a second checkpoint beside the first. It is mounted in a namespace of its own.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs the right to mount"]
fn a_mounted_disk_that_is_full_keeps_the_last_checkpoint() {
    in_directory("mounted", |directory| {
        let (expected, _) = undisturbed(&directory.join("undisturbed"));
        let path = directory.join("checkpoint");
        killed(&path, 7, Duration::ZERO);
        let before = fs::read(&path).unwrap();
        let script = r#"
            mount -t tmpfs -o size="$1k" none "$2/disk" && cp "$2/checkpoint" "$2/disk" || exit
            "$3" "$2/disk/checkpoint" 2>"$2/error"
            cp "$2/disk/checkpoint" "$2/kept"
            mount -o remount,size=1m "$2/disk" && "$3" "$2/disk/checkpoint" && cp "$2/disk/checkpoint" "$2/end""#;
        fs::create_dir(directory.join("disk")).unwrap();
        let kilobytes = (before.len() / 1024 * 3 / 2).to_string();
        let mut mounted = Command::new("unshare");
        mounted.args(["-rm", "sh", "-c", script, "sh", &kilobytes]).arg(directory).arg(program().get_program());
        let output = mounted.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let error = fs::read_to_string(directory.join("error")).unwrap();
        assert!(error.ends_with("disk/checkpoint: not saved: No space left on device (os error 28)\n"), "{error}");
        assert!(fs::read(directory.join("kept")).unwrap() == before);
        assert!(fs::read(directory.join("end")).unwrap() == expected);
    });
}

/// The command that starts a program for which permissions hold, even if root runs it.
#[cfg(target_os = "linux")]
fn by_permission() -> &'static [&'static str] {
    use std::os::unix::fs::MetadataExt;
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { &["env"] }
}

#[cfg(target_os = "linux")]
fn permit(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_read_only_directory_leaves_the_last_checkpoint() {
    let [read_only, mend] = [0o555, 0o755].map(|mode| move |directory: &Path| permit(directory, mode));
    spoiled("read-only", by_permission(), [&read_only, &mend], "Permission denied (os error 13)");
}

/// It must not count as a fresh start, which would overwrite it.
#[test]
#[cfg(target_os = "linux")]
fn an_unreadable_checkpoint_is_rejected() {
    use std::os::unix::fs::chown;
    in_directory("unreadable", |directory| {
        let path = directory.join("checkpoint");
        let (good, _) = undisturbed(&path);
        permit(&path, 0o000);
        let output = started(by_permission(), &path);
        permit(&path, 0o600);
        assert_eq!(rejection(output, &path, &good), "Permission denied (os error 13)");
        // Only root can give it to another user.
        if chown(&path, Some(65_534), None).is_ok() {
            let output = started(by_permission(), &path);
            chown(&path, Some(0), None).unwrap();
            assert_eq!(rejection(output, &path, &good), "Permission denied (os error 13)");
        }
    });
}

/// The order decides what a power cut may leave: first the contents, then the name, then the next step.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs strace"]
fn the_system_calls_of_a_save() {
    in_directory("traced", |directory| {
        let trace = directory.join("trace");
        let mut traced = Command::new("strace");
        traced.args(["-y", "-e", "trace=write,fsync,fdatasync,rename,renameat,renameat2,unlink,ftruncate", "-o"]);
        traced.arg(&trace).arg(program().get_program()).arg(directory.join("checkpoint")).arg("--steps=1");
        assert!(traced.output().unwrap().status.success());

        let trace = fs::read_to_string(trace).unwrap().replace(directory.to_str().unwrap(), "DIRECTORY");
        let on_files = trace.lines().filter(|line| line.contains("DIRECTORY") && !line.starts_with("write(1<"));
        let mut calls: Vec<&str> = on_files.map(|line| line.split_once(['>', ')']).unwrap().0).collect();
        calls.dedup(); // a save may write several times
        let save = [
            "write(3<DIRECTORY/checkpoint.tmp",
            "fsync(3<DIRECTORY/checkpoint.tmp",
            "rename(\"DIRECTORY/checkpoint.tmp\", \"DIRECTORY/checkpoint\"",
            "fsync(4<DIRECTORY",
        ];
        assert_eq!(calls, [save, save].concat()); // before the first step and after the last
    });
}

/// Each bit may be the first wrong one of a burst, and a write may end anywhere.
#[test]
fn every_flipped_bit_and_every_length_is_rejected() {
    type State = (u64, String, Vec<f32>);
    let state: State = (7, "a state".into(), vec![0.1, -2.0, f32::MIN_POSITIVE, 1e30]);
    in_directory("flipped", |directory| {
        let path = directory.join("checkpoint");
        assert_eq!(checkpoint::load::<State>(&path).unwrap(), None);
        checkpoint::save(&path, &state).unwrap();
        assert_eq!(checkpoint::load(&path).unwrap(), Some(state));

        let good = fs::read(&path).unwrap();
        let rejected = |bytes: &[u8], what: String| {
            fs::write(&path, bytes).unwrap();
            let error = checkpoint::load::<State>(&path).map(|_| what).unwrap_err();
            assert!(format!("{error:#}").starts_with(&path.display().to_string()));
        };
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            rejected(&bytes, format!("bit {bit} flipped"));
        }
        for len in 0..good.len() {
            rejected(&good[..len], format!("cut to {len} bytes"));
            // A file that grew before its contents were written ends in zeros.
            let zeros = vec![0; good.len() - len];
            if good[len..] != zeros {
                rejected(&[&good[..len], &zeros].concat(), format!("zeros from {len} on"));
            }
        }
        rejected(&[&good[..], &good].concat(), "twice".into());
    });
}
