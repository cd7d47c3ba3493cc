//! A heap that only grows: enough for a program that prints one line.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

const SIZE: usize = 16 * 1024;

#[global_allocator]
static HEAP: Heap = Heap {
    arena: UnsafeCell::new([0; SIZE]),
    used: AtomicUsize::new(0),
};

#[repr(align(16))]
struct Heap {
    arena: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: parts of the arena are handed out once each, by the atomic counter.
unsafe impl Sync for Heap {}

// SAFETY: a block begins at a multiple of its alignment (at most that of the
// arena, which is checked), lies inside the arena, and overlaps no other.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > align_of::<Self>() {
            return null_mut();
        }
        let place = |used: usize| used.checked_next_multiple_of(layout.align());
        let end = |used: usize| {
            place(used)?
                .checked_add(layout.size())
                .filter(|end| *end <= SIZE)
        };
        match self
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, end)
        {
            Ok(before) => match place(before) {
                // SAFETY: `end` found the whole block to be inside the arena.
                Some(start) => unsafe { self.arena.get().cast::<u8>().add(start) },
                None => null_mut(),
            },
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
