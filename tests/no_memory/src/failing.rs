//! The system's allocator, made to fail at chosen allocations.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ops::Range,
    ptr,
};

struct Failing;

#[global_allocator]
static FAILING: Failing = Failing;

thread_local! {
    // Which of this thread's next allocations fail, and how many there have been.
    static FAIL: Cell<(u64, u64)> = const { Cell::new((u64::MAX, u64::MAX)) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Runs `call` so that its allocations with these numbers fail. Returns its result, and whether one failed.
pub(crate) fn without<T>(numbers: Range<u64>, call: impl FnOnce() -> T) -> (T, bool) {
    COUNT.set(0);
    FAIL.set((numbers.start, numbers.end));
    let result = call();
    FAIL.set((u64::MAX, u64::MAX));
    (result, COUNT.get() > numbers.start)
}

fn fails() -> bool {
    let (count, (start, end)) = (COUNT.get(), FAIL.get());
    COUNT.set(count + 1);
    (start..end).contains(&count)
}

// SAFETY: it returns null, or calls the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if fails() { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if fails() { ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        if fails() { ptr::null_mut() } else { unsafe { System.realloc(old, layout, size) } }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(old, layout) }
    }
}
