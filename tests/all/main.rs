//! The whole system from outside: the `auricle` program as a child process, spoken to over the
//! network and through its command line.
//!
//! What one crate does alone is tested in that crate; here stands what only the whole can promise.
//! Servers listen on loopback ports that the kernel chooses and never outlive the suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

/// Guests that misbehave, and tenants who deploy them.
mod guests;
/// A server inside this process.
mod inside;
mod support;

/// The tutorial API: fields, options and routes of every answer that is not an error.
mod api;
/// Requests that are wrong, one by one: status, JSON error, nothing leaked, server alive.
mod bad_input;
/// Disconnects, in the middle of everything: the device is free again within a second.
mod cancel;
/// Channels that are transcribed each for itself.
mod channels;
/// `auricle transcribe` and the other verbs: output, exit codes, standard input.
mod cli;
/// Other people's programs as clients: OpenAI's libraries, parsers of subtitles, generated requests.
mod clients;
/// Components built for older contracts, and what newer ones report.
mod contracts;
/// Files that wait for ffmpeg.
mod converting;
/// A data directory whose database is lost.
mod data_dir;
/// Files that are meant to harm: the decoder in its sandbox.
mod decoding;
/// Tenants bring components: pushed, deployed, tried out, taken back.
mod deploying;
/// Components come into their roles: at the start, by a swap, out of the cache.
mod deployment;
/// Device time, and texts that do not depend on it.
mod device;
/// Floods, smuggled requests and forms that are built to be held.
mod edge;
/// What hostile components and clients do, all of it beside a tenant that must not notice; `make soak`.
mod faults;
/// Every container and codec that the README names.
mod formats;
/// What components write to the operator's log.
mod guest_log;
/// Components in Rust, JavaScript and Python: new projects, examples, the guide.
mod languages;
/// Starting and stopping: readiness, configuration, CORS, HTTP versions, drain.
mod lifecycle;
/// What a component may use, and that going over it costs nobody else.
mod limits;
/// Many requests at once and large ones: memory, queues, honest refusals.
mod load;
/// The admin listener: metrics and health.
mod metrics;
/// Graphs through `wasi:nn`: who may compute on what, and what it costs others.
mod nn;
/// OpenAI's transcription API, field by field.
mod openai;
/// Files that `auricle transcribe` writes.
mod outputs;
/// Web pages that reach a server without keys.
mod pages;
/// The right words: known texts, languages, long files, and nothing where nothing is said.
mod quality;
/// The live WebSocket.
mod realtime;
/// One test for every defect that got out of its crate.
mod regression;
/// The number of speakers that a client gives.
mod speaker_counts;
/// Who spoke when: labels, options, known speakers.
mod speakers;
/// Languages: how requests spell them, and which one a transcript is in.
mod spoken;
/// Keys, and what a tenant can see of another.
mod tenancy;
/// The container's time: edit lists, late tracks, gaps; channels that cancel each other.
mod timing;
/// Spans of a request, at a collector.
mod traces;
/// Answers that are not taken and connections that are not used.
mod unread;
/// Voice activity: what it finds, what is left out for it, and a server without it.
mod voice;
