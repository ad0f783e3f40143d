//! The model manifest, the fetcher, the converters and the store of installed models.
//!
//! One operator's models and downloads; nothing here is reachable by a tenant. Weights are never
//! part of the source tree: [`manifest`] says where they come from and what they must be,
//! [`fetch`] brings them, [`convert`] makes them whisper.cpp's, [`store`] keeps them.

pub mod convert;
pub mod digest;
pub mod error;
pub mod fetch;
pub mod manifest;
pub mod progress;
pub mod store;

pub use digest::verify_sha256;
pub use error::ModelsError;
pub use manifest::{Kind, Manifest};
pub use progress::Progress;
pub use store::{InstalledFile, InstalledFiles, InstalledModel, ModelStatus, Store, StoreDirs};
