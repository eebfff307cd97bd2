//! The smallest allocator: it hands out a fixed array from one end to the other, and takes nothing back.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

const ROOM: usize = 3 << 20;
/// The alignment of every piece. A layout that needs more is rejected.
const ALIGN: usize = 16;

#[repr(align(16))]
struct Bump {
    room: UnsafeCell<[u8; ROOM]>,
    used: AtomicUsize,
}

#[global_allocator]
static BUMP: Bump = Bump { room: UnsafeCell::new([0; ROOM]), used: AtomicUsize::new(0) };

// SAFETY: `room` is only used through pieces, each of which is handed out once.
unsafe impl Sync for Bump {}

// SAFETY: the pieces follow one another in `room`, each begins at a multiple of `ALIGN`, and none is handed out twice.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size().next_multiple_of(ALIGN);
        let start = self.used.fetch_add(size, Relaxed);
        if layout.align() > ALIGN || start > ROOM || size > ROOM - start {
            return ptr::null_mut();
        }
        // SAFETY: `start + size` is at most `ROOM`.
        unsafe { self.room.get().cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
