//! Benchmarks of Auricle.
