//! A handler that leaves a secret wherever it can, and looks for what others have left.
//!
//! Answers with what it found before it wrote: the number of earlier requests that its memory knows
//! of, and the number of bytes that were not zero in memory that it was just given.

use std::sync::atomic::{AtomicU64, Ordering};

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Response;

/// 8 MiB, more than a pool keeps resident between two instances.
const PAGES: usize = 128;
const PAGE_BYTES: usize = 65_536;

static REQUESTS: AtomicU64 = AtomicU64::new(0);

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let earlier = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let found = match fresh_memory() {
            Some(memory) => {
                let found = memory.iter().filter(|byte| **byte != 0).count();
                memory.fill(0x5e);
                found.to_string()
            }
            None => "none given".to_owned(),
        };
        Response::text(200, format!("{earlier} {found}")).send(out);
    }
}

auricle_guest::handler::export!(Hostile);

/// Memory as the host gives it: an allocator might have cleared it.
#[allow(unsafe_code, reason = "raw memory is what is looked at")]
fn fresh_memory() -> Option<&'static mut [u8]> {
    let page = core::arch::wasm32::memory_grow(0, PAGES);
    if page == usize::MAX {
        return None;
    }
    // SAFETY: these pages did not exist before the call, so nothing else refers to them, and memory
    // never shrinks.
    Some(unsafe {
        std::slice::from_raw_parts_mut((page * PAGE_BYTES) as *mut u8, PAGES * PAGE_BYTES)
    })
}
