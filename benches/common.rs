//! What benches share: the line that names the machine, the one argument, timing in turn, one thread, slices that start
//! at a page, and torch and numpy.
#![allow(dead_code, reason = "each bench takes what it needs")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::RefCell,
    env, fs,
    hint::black_box,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// The features of gradstep that change its speed.
pub fn features() -> &'static str {
    match (cfg!(feature = "simd"), cfg!(feature = "rayon")) {
        (false, false) => "none",
        (true, false) => "simd",
        (false, true) => "rayon",
        (true, true) => "simd+rayon",
    }
}

/// Prints the first line of a record, which says when, on what machine and how it was measured, and the names of the
/// columns.
pub fn heading(command: &str, columns: &str) {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_string()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = |key: &str| {
        let value = |line: &str| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim().to_string());
        cpu.lines().find_map(value).unwrap_or_default()
    };
    let (name, family, model) = (cpu("model name"), cpu("cpu family"), cpu("model"));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let (date, rust) = (output("date", &["-I"]), output("rustc", &["--version"]));
    let versions = "import torch, numpy; print(f'; torch {torch.__version__}, numpy {numpy.__version__}')";
    let python = env::var("PYTHON").map(|python| output(&python, &["-c", versions])).unwrap_or_default();
    println!(
        "# {date}; {name} (family {family}, model {model}), {cores} cores; {rust}{python}; {}; {command}",
        features()
    );
    println!("{columns}");
}

/// The number among the arguments, if there is one: the largest size to measure. (cargo adds arguments of its own.)
pub fn largest(default: usize) -> usize {
    env::args().find_map(|argument| argument.parse().ok()).unwrap_or(default)
}

/// Runs all contenders in turn, `rounds` times, each `calls` times in a row (so that it meets its own data in the
/// caches, not its neighbour's), and returns the least time of each, in seconds a call.
///
/// In turn, because on a machine whose speed drifts only what ran side by side can be compared.
pub fn alternate(rounds: usize, calls: usize, contenders: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    least(rounds, calls, contenders, |contender| seconds(&mut **contender))
}

/// The same where a contender says itself how long it took.
pub fn least<T>(rounds: usize, calls: usize, contenders: &mut [T], time: impl Fn(&mut T) -> f64) -> Vec<f64> {
    let mut least = vec![f64::INFINITY; contenders.len()];
    for _ in 0..rounds {
        for (least, contender) in least.iter_mut().zip(contenders.iter_mut()) {
            for _ in 0..calls {
                *least = least.min(time(contender));
            }
        }
    }
    least
}

/// A contender's name, and what says how many seconds a step of its took.
pub type Contender<'a> = (&'a str, Box<dyn FnMut() -> f64 + 'a>);

/// Runs such contenders in turn and prints a line for each: `key`, its name, microseconds.
pub fn race(key: &str, rounds: usize, mut contenders: Vec<Contender>) {
    let times = least(rounds, 1, &mut contenders, |(_, step)| step());
    for ((name, _), time) in contenders.iter().zip(times) {
        println!("{key}, {name}, {:.1}", time * 1e6);
    }
}

/// The seconds of the fastest of three calls.
pub fn best(call: &Mutex<impl FnMut() + Send>) -> f64 {
    (0..3).map(|_| seconds(&mut *call.lock().expect("nobody panicked"))).fold(f64::INFINITY, f64::min)
}

pub fn seconds(mut contender: impl FnMut()) -> f64 {
    let start = Instant::now();
    black_box(&mut contender)();
    start.elapsed().as_secs_f64()
}

/// For a bench whose contenders have slices of their own: every slice starts where a page does. Else the place where
/// they happen to lie decides more than the code, as long as they fit into the first caches. Each such bench says
/// `#[global_allocator] static PAGES: Pages = Pages;`.
pub struct Pages;

impl Pages {
    fn layout(layout: Layout) -> Layout {
        if layout.size() < 4096 { layout } else { layout.align_to(4096).expect("a power of two") }
    }
}

// SAFETY: the system's allocator, with the same layout in both calls.
unsafe impl GlobalAlloc for Pages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc(Self::layout(layout)) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, Self::layout(layout)) }
    }
}

/// On one thread, whatever the features.
pub fn alone<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "rayon")]
    {
        use std::sync::LazyLock;
        static ONE: LazyLock<rayon::ThreadPool> =
            LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"));
        ONE.install(work)
    }
    #[cfg(not(feature = "rayon"))]
    work()
}

/// A script in this package's folder, if PYTHON names an interpreter.
fn script(name: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(env::var_os("PYTHON")?);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).args(arguments);
    Some(command)
}

/// What a script prints; nothing without an interpreter.
pub fn python(name: &str, arguments: &[&str]) -> String {
    let Some(mut command) = script(name, arguments) else { return String::new() };
    let output = command.output().expect("PYTHON runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("plain text").trim().to_string()
}

/// The figures of torch and numpy that a script prints, as two more cells of a row.
pub fn torch_and_numpy(name: &str, arguments: &[&str]) -> String {
    match python(name, arguments).split_once(' ') {
        Some((torch, numpy)) => format!("{torch}, {numpy}"),
        None => ", ".to_string(),
    }
}

/// `models.py`, which takes steps when it is told to, so that it runs in turn with the others.
pub struct Torch(Child, BufReader<ChildStdout>);

impl Torch {
    pub fn start(rule: &str, settings: [f64; 3], lens: &[usize]) -> Option<Torch> {
        let numbers: Vec<String> =
            settings.iter().map(f64::to_string).chain(lens.iter().map(usize::to_string)).collect();
        let arguments: Vec<&str> = [rule].into_iter().chain(numbers.iter().map(String::as_str)).collect();
        let mut command = script("models.py", &arguments)?;
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("PYTHON runs");
        let out = BufReader::new(process.stdout.take().expect("piped"));
        Some(Torch(process, out))
    }

    fn number(&mut self) -> f64 {
        let mut line = String::new();
        self.1.read_line(&mut line).expect("models.py answers");
        line.trim().parse().expect("a number")
    }

    /// Call it before the first step: the sum of what the first three steps led to must be `sum`.
    pub fn assert_sum(&mut self, sum: f64) {
        let theirs = self.number();
        assert!((sum - theirs).abs() <= 1e-6 * sum.abs(), "torch gets {theirs}, gradstep {sum}");
    }

    /// The contenders `torch fused 1T` and so on: how, and on how many threads.
    pub fn contenders<'a>(torch: &'a Option<RefCell<Torch>>, how: &[&'a str]) -> Vec<Contender<'a>> {
        let contender = |how: &'a str| -> Option<Contender<'a>> {
            let torch = torch.as_ref()?;
            Some((how, Box::new(move || torch.borrow_mut().step(how))))
        };
        how.iter().filter_map(|how| contender(how)).collect()
    }

    /// The seconds of a step.
    fn step(&mut self, how: &str) -> f64 {
        writeln!(self.0.stdin.as_mut().expect("piped"), "{how}").expect("models.py listens");
        let time = self.number() / 1e9;
        // Its threads stay awake for a while, and there are no more cores than they.
        thread::sleep(Duration::from_millis(20));
        time
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
