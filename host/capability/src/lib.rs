//! The host side of every WIT interface, and the calls into each role.
//!
//! One file per interface; each owns what its resources hold and drops it with the store. What the
//! interfaces rest on (the pipeline, the models) comes in through the traits of [`services`], so
//! that nothing here knows an engine. A refusal is a WIT error; a trap is for host bugs and bad
//! handles.
//!
//! # Layout
//! - [`services`]: what the pipeline gives to guests.
//! - [`roles`]: components linked and checked against the world of their role.
//! - [`call`]: one instance per request or session, and how it ends.
//! - [`decoding`]: files through the decoder.
//! - [`state`]: what a store holds. `places`: how many stores there are, and whose.
//! - [`nn`]: graphs for the components that are granted them.
//! - `v0_1`: interfaces of older packages, for components built for them.
//! - the rest: one interface each.

mod bindings;
pub mod call;
mod chunking;
mod clips;
mod configuration;
mod convert;
pub mod decoding;
mod diarization;
mod held;
mod log;
mod multipart;
pub mod nn;
mod places;
mod recognition;
mod recording;
pub mod roles;
pub mod services;
pub mod source;
pub mod state;
mod transcriber;
mod v0_1;
mod voice_activity;
pub mod websocket;

pub use call::{Assigner, Guests, RequestBody, ResponseBody, UpgradeRequest};
pub use decoding::converter::{Converter, ConverterConfig, ConverterError, confine};
pub use decoding::{Channels, CopiedFile, Decoding, Media, MediaError, MediaHint};
pub use nn::services::{GraphError, GraphNames, Graphs, LoadedGraph};
pub use roles::{
    AssignerComponent, ChunkerComponent, ComponentFile, DecoderComponent, HandlerComponent, Roles,
};
pub use services::{
    Event, Events, Listening, Message, RequestScope, ServedModel, Services, Socket, SocketError,
    SpeechError, Summary, Voices,
};
pub use source::SourceFailure;
pub use websocket::Session;
