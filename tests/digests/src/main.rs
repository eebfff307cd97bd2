//! Prints a digest of each thing that gradstep computes: on a system with std, under WebAssembly by a function that the
//! host has, and on a bare Cortex-M by semihosting.
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
    // SAFETY: the line is there.
    unsafe { print(line.as_ptr(), line.len()) }
}
