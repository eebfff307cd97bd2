//! The smallest allocator: hands out a fixed room from one end to the other and takes nothing back.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

const ROOM: usize = 3 << 20;
/// What the room is aligned to; more than that is refused.
const ALIGN: usize = 16;

#[repr(align(16))]
struct Bump {
    room: UnsafeCell<[u8; ROOM]>,
    used: AtomicUsize,
}

#[global_allocator]
static BUMP: Bump = Bump { room: UnsafeCell::new([0; ROOM]), used: AtomicUsize::new(0) };

// SAFETY: the room is only ever handed out in pieces, each once.
unsafe impl Sync for Bump {}

// SAFETY: the pieces lie in the room one behind the other, from a multiple of `ALIGN` on, and none is handed out twice.
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
