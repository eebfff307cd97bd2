//! What a program needs where there is no operating system: start, memory, output and end.

use core::panic::PanicInfo;

use cortex_m_semihosting::{debug, hprintln};

#[path = "../../no_std/src/bump.rs"]
mod bump;

#[cortex_m_rt::entry]
fn start() -> ! {
    crate::digests::all(|line| hprintln!("{}", line)).unwrap();
    end(debug::EXIT_SUCCESS)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    hprintln!("{}", info);
    end(debug::EXIT_FAILURE)
}

fn end(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {}
}
