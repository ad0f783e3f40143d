//! Components come into their roles: at the start, by a swap, and out of the cache.

/// Compiled components are kept, and made again when they were tampered with.
mod cache;
/// What is refused, and that a refusal changes nothing.
mod refusals;
/// A new revision while requests run.
mod swap;
