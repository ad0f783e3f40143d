//! Generated bindings of everything that a role may import.
//!
//! One set of types serves all roles, so that the helpers of this crate fit each of them; which
//! imports a component really has is decided by what it calls, because the linker drops the rest.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the documentation is in the WIT files"
)]

wit_bindgen::generate!({
    path: [
        "../../wit/deps/io.wit",
        "../../wit/deps/clocks.wit",
        "../../wit/deps/random.wit",
        "../../wit/deps/filesystem.wit",
        "../../wit/deps/sockets.wit",
        "../../wit/deps/cli.wit",
        "../../wit/deps/http.wit",
        "../../wit/auricle-runtime",
        "../../wit/auricle-audio",
        "../../wit/auricle-speech",
        "../../wit/auricle-http",
        "../../wit/auricle-pipeline",
    ],
    world: "auricle:pipeline/handler-imports",
    generate_all,
});
