//! What benches share: the line that names the machine, the one argument, timing in turn, one thread, slices that start at a
//! page, and torch and numpy.
#![allow(dead_code, reason = "each bench takes what it needs")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env, fs,
    hint::black_box,
    path::Path,
    process::Command,
    thread,
    time::Instant,
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

/// Prints the first line of a record: when, on what machine and how it was measured.
pub fn heading(command: &str) {
    let output = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_string()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = |key: &str| {
        let value = |line: &str| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim().to_string());
        cpu.lines().find_map(value).unwrap_or_default()
    };
    let (name, family, model) = (cpu("model name"), cpu("cpu family"), cpu("model"));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let (date, rust) = (output("date", "-I"), output("rustc", "--version"));
    println!("# {date}; {name} (family {family}, model {model}), {cores} cores; {rust}; {}; {command}", features());
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

pub fn seconds(mut contender: impl FnMut()) -> f64 {
    let start = Instant::now();
    black_box(&mut contender)();
    start.elapsed().as_secs_f64()
}

/// For a bench whose contenders have slices of their own: every slice starts where a page does. Else the place where they
/// happen to lie decides more than the code, as long as they fit into the first caches. Each such bench says
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

/// What a script in this folder prints: the versions of torch and numpy without an argument, else a figure of each. `None`
/// if PYTHON names no interpreter.
pub fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let interpreter = env::var_os("PYTHON")?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new(interpreter).arg(path).args(arguments).output().expect("PYTHON runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("plain text").trim().to_string())
}
