//! The allocator of a component: dlmalloc, on the heap that the linker has laid out.
//!
//! Owns all memory behind the component's data. It begins with what is there (`--initial-heap`), so that
//! a short call never grows the memory, which costs the host two changes of its protection; and it takes
//! of it in small steps, because dlmalloc writes at the end of whatever it has. std's allocator, the same
//! dlmalloc, takes all at once: its first allocation writes into the heap's last page, and that page,
//! far from the others, is the one that the host gives back and must make anew with every call.
//!
//! One thread: components have no more, and the host's engine has threads switched off.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32;
use std::cell::{Cell, UnsafeCell};
use std::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// Bytes that are taken at once at least: most calls need no more.
const STEP_BYTES: usize = 16 * 1024;

/// Bytes of a page of WebAssembly's.
const PAGE_BYTES: usize = 64 * 1024;

unsafe extern "C" {
    /// Where data and stack end.
    static __heap_base: u8;
    /// Where the memory ends at the start.
    static __heap_end: u8;
}

/// A component's allocator.
pub(crate) struct Heap(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: there is one thread.
unsafe impl Sync for Heap {}

impl Heap {
    /// An allocator that has not allocated anything yet.
    pub(crate) const fn new() -> Self {
        let mut dlmalloc = Dlmalloc::new_with_allocator(Memory {
            taken_to: Cell::new(0),
        });
        assert!(dlmalloc.set_granularity(STEP_BYTES), "a power of two");
        Self(UnsafeCell::new(dlmalloc))
    }
}

// SAFETY: dlmalloc is such an allocator, and with one thread nobody else borrows it meanwhile: it calls
// nothing of ours but `Memory`, which does not allocate.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above; the layout is the caller's word.
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { (*self.0.get()).free(block, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { (*self.0.get()).realloc(block, layout.size(), layout.align(), new_size) }
    }
}

/// The memory: first the linker's heap, then what grows behind it.
struct Memory {
    /// Where the next step within the linker's heap begins; 0 before the first one.
    taken_to: Cell<usize>,
}

impl Memory {
    /// Where at least so many new bytes begin and end; nothing where there are no more.
    fn take(&self, bytes: usize) -> Option<(usize, usize)> {
        let base = ptr::addr_of!(__heap_base).addr();
        let end = ptr::addr_of!(__heap_end).addr();
        let start = self.taken_to.get().max(base);
        if bytes <= end.saturating_sub(start) {
            self.taken_to.set(start + bytes);
            return Some((start, start + bytes));
        }
        let (grown, grown_to) = grow(bytes)?;
        if grown != end {
            return Some((grown, grown_to));
        }
        // What was left of the heap goes with it.
        self.taken_to.set(end);
        Some((start, grown_to))
    }
}

/// Grows the memory by at least so many bytes; gives where they begin and end.
fn grow(bytes: usize) -> Option<(usize, usize)> {
    let pages = bytes.div_ceil(PAGE_BYTES);
    // Refused is the largest number there is.
    let start = wasm32::memory_grow(0, pages).checked_mul(PAGE_BYTES)?;
    // Behind the last page of the address space the end would be 0.
    let end = start.checked_add(pages * PAGE_BYTES)?;
    Some((start, end))
}

// SAFETY: what `take` gives lies within the memory, and is given once.
unsafe impl Allocator for Memory {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match self.take(size) {
            Some((start, end)) => (ptr::with_exposed_provenance_mut(start), end - start, 0),
            None => (ptr::null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}
