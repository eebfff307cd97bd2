//! Prints a digest of everything that gradstep computes: to standard output, under WebAssembly by a function of the
//! host, and on a bare Cortex-M by semihosting.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

#[cfg(target_os = "none")]
mod bare;
mod digests;

#[cfg(not(target_os = "none"))]
fn main() {
    digests::all(print).unwrap();
}

#[cfg(not(any(target_os = "none", target_family = "wasm")))]
fn print(line: &str) {
    println!("{line}");
}

#[cfg(target_family = "wasm")]
fn print(line: &str) {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        fn print(at: *const u8, len: usize);
    }
    // SAFETY: the host reads `line.len()` bytes from `line` on, during the call.
    unsafe { print(line.as_ptr(), line.len()) }
}
