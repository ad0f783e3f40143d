//! What the fuzz targets check, apart from the fuzzer, and what their inputs mean.
//!
//! A target takes any bytes and panics where a promise is broken; `targets/` hands them the fuzzer's.
//! Each reads its bytes with [`input::Input`], in which seeds and findings are readable.
//!
//! # Layout
//! - [`multipart`], [`wav`], [`media`], [`parameters`]: what anybody sends.
//! - [`events`], [`subtitles`]: what is written of anything that a component says.

pub mod events;
pub mod input;
pub mod media;
pub mod multipart;
pub mod parameters;
pub mod subtitles;
pub mod transcript;
pub mod wav;
