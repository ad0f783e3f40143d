//! Test guests built from version 0.1.0 of `auricle:speech` and `auricle:pipeline`, which every later
//! host runs. They use the bindings alone, not the SDK, which follows the current version.
