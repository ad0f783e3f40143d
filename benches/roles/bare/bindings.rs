//! Generated bindings; nothing else.

#![allow(missing_docs, reason = "generated")]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]

/// What a chunker and a speaker-assigner import.
pub(crate) mod imports {
    wasmtime::component::bindgen!({
        path: [
            "../wit/deps/io.wit",
            "../wit/deps/random.wit",
            "../wit/deps/clocks.wit",
            "../wit/deps/filesystem.wit",
            "../wit/deps/sockets.wit",
            "../wit/deps/cli.wit",
            "../wit/deps/http.wit",
            "../wit/auricle-runtime",
            "../wit/auricle-audio",
            "../wit/auricle-speech",
            "../wit/auricle-http",
            "../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/chunker-role",
        imports: { default: trappable },
        with: { "auricle:audio/clips.clip": auricle_speech::Clip },
    });
}

/// The export of a chunker.
pub(crate) mod chunker {
    wasmtime::component::bindgen!({
        path: [
            "../wit/deps/io.wit",
            "../wit/deps/random.wit",
            "../wit/deps/clocks.wit",
            "../wit/deps/filesystem.wit",
            "../wit/deps/sockets.wit",
            "../wit/deps/cli.wit",
            "../wit/deps/http.wit",
            "../wit/auricle-runtime",
            "../wit/auricle-audio",
            "../wit/auricle-speech",
            "../wit/auricle-http",
            "../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/chunker-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::imports::auricle::audio::types,
            "auricle:audio/clips": super::imports::auricle::audio::clips,
        },
    });
}

/// The export of a speaker-assigner.
pub(crate) mod assigner {
    wasmtime::component::bindgen!({
        path: [
            "../wit/deps/io.wit",
            "../wit/deps/random.wit",
            "../wit/deps/clocks.wit",
            "../wit/deps/filesystem.wit",
            "../wit/deps/sockets.wit",
            "../wit/deps/cli.wit",
            "../wit/deps/http.wit",
            "../wit/auricle-runtime",
            "../wit/auricle-audio",
            "../wit/auricle-speech",
            "../wit/auricle-http",
            "../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/speaker-assigner-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::imports::auricle::runtime::configuration,
        },
    });
}
