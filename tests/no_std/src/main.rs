//! Fits a line to points without std. Exits with 0 if the parameters have the expected bits.
#![no_std]
#![no_main]

extern crate alloc;

mod bump;

use alloc::vec::Vec;
use core::panic::PanicInfo;

use gradstep::{Batcher, Error, Momentum, Optimizer, Schedule, Sgd, clip_global_norm, gather};

// The C library has the start-up code and these two functions. With std, Rust links it.
#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
    fn puts(text: *const core::ffi::c_char) -> i32;
}

// On s390x, `f64::max` and `min` call C's.
#[link(name = "m")]
unsafe extern "C" {}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // SAFETY: `abort` has no conditions.
    unsafe { abort() }
}

// Rust's `alloc` is built to unwind and needs these two symbols. With panic = "abort" nothing calls them.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

/// Fits y = w x + b in 30 epochs, with a falling learning rate and clipped gradients.
fn fit(mut optimizer: impl Optimizer<f32>) -> Result<[u32; 2], Error> {
    let points: Vec<f32> = (0..20_u8).flat_map(|i| [f32::from(i) / 7.0, f32::from(i) / 3.0 - 1.0]).collect();
    let batcher = Batcher::new(20, 6, 42)?;
    let schedule = Schedule::cosine(0.1, 0.001, 30 * batcher.batches_per_epoch() as u64)?;
    let (mut params, mut batch, mut stream) = ([0.0_f32; 2], Vec::new(), batcher.stream());
    for step in 0..30 * batcher.batches_per_epoch() as u64 {
        let Some(indices) = stream.next_batch() else { break };
        gather(&points, 2, indices, &mut batch)?;
        let mut grads = [0.0; 2];
        for point in batch.chunks_exact(2) {
            let error = params[0] * point[0] + params[1] - point[1];
            grads[0] += error * point[0];
            grads[1] += error;
        }
        clip_global_norm(&mut [&mut grads], 1.5)?;
        optimizer.set_learning_rate(schedule.at(step))?;
        optimizer.step(&mut params, &grads)?;
    }
    Ok(params.map(f32::to_bits))
}

fn as_expected() -> Result<bool, Error> {
    let sgd = fit(Sgd::new(0.1)?)?;
    let momentum = fit(Momentum::new(0.1, 0.5, 2)?)?;
    Ok(sgd == [0x4014_EA5F, 0xBF7D_27B0] && momentum == [0x4015_5573, 0xBF80_0063])
}

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let (text, code) = match as_expected() {
        Ok(true) => (c"without std: the expected bits", 0),
        Ok(false) => (c"without std: other bits than expected", 1),
        Err(_) => (c"without std: rejected", 2),
    };
    // SAFETY: the text ends with a zero byte.
    unsafe { puts(text.as_ptr()) };
    code
}
