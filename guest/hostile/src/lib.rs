//! Components that misbehave: what the limits of the host are tested with.
//!
//! One file of `misdeeds/` is one component; those that Rust cannot express are WebAssembly text in
//! `wat/`. This library holds what the misdeeds share.

use auricle_guest::audio::Span;

/// Spans of at most `max_samples` that cover a clip: an honest answer, for those that misbehave on
/// the way to it.
#[must_use]
pub fn honest_spans(length: u64, max_samples: u64) -> Vec<Span> {
    let step = max_samples.max(1);
    (0..length.div_ceil(step))
        .map(|i| Span {
            start: i * step,
            end: length.min((i + 1) * step),
        })
        .collect()
}

/// Takes memory without end, a page at a time, and writes to it.
pub fn take_all_memory() -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1; 65_536]));
    }
}

/// Computes without end.
pub fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

/// Calls itself without end: the array makes the frame large, the addition keeps it from being a
/// loop.
#[must_use]
#[allow(unconditional_recursion, reason = "this is the misdeed")]
pub fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 16]);
    recurse(depth.wrapping_add(1)).wrapping_add(frame.iter().sum())
}
