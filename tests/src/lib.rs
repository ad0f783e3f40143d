//! End-to-end tests of Auricle.
