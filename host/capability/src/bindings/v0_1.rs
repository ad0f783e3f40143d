//! Bindings of version 0.1.0 of `auricle:speech` and `auricle:pipeline`; nothing else.
//!
//! Interfaces of packages that have no other version are those of the current bindings.

/// The interfaces that a handler imports.
pub mod imports {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/io.wit",
            "../../wit/deps/random.wit",
            "../../wit/deps/clocks.wit",
            "../../wit/deps/filesystem.wit",
            "../../wit/deps/sockets.wit",
            "../../wit/deps/cli.wit",
            "../../wit/deps/http.wit",
            "../../wit/auricle-runtime",
            "../../wit/auricle-audio",
            "../../wit/v0.1.0/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/v0.1.0/auricle-pipeline",
        ],
        world: "auricle:pipeline/handler-imports",
        imports: {
            "auricle:speech/recognition.detect-language": async | trappable,
            "auricle:speech/recognition.list-models": async | trappable,
            "auricle:speech/recognition.find-model": async | trappable,
            "auricle:speech/diarization.diarize": async | trappable,
            "auricle:speech/voice-activity.probabilities": async | trappable,
            "auricle:speech/voice-activity.[method]detector.push": async | trappable,
            "auricle:speech/voice-activity.[method]detector.finish": async | trappable,
            "auricle:pipeline/transcriber.[method]transcription.next": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "auricle:runtime/log": super::super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::super::imports::auricle::audio::types,
            "auricle:audio/clips": super::super::imports::auricle::audio::clips,
            "auricle:audio/decoding": super::super::imports::auricle::audio::decoding,
            "auricle:audio/recording": super::super::imports::auricle::audio::recording,
            "auricle:http/multipart": super::super::imports::auricle::http::multipart,
            "auricle:http/websocket": super::super::imports::auricle::http::websocket,
            "auricle:speech/voice-activity.detector": crate::voice_activity::Detector,
            "auricle:pipeline/transcriber.transcription": crate::transcriber::Transcription,
        },
        require_store_data_send: true,
    });
}

/// The export of a chunker.
pub mod chunker {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/io.wit",
            "../../wit/deps/random.wit",
            "../../wit/deps/clocks.wit",
            "../../wit/deps/filesystem.wit",
            "../../wit/deps/sockets.wit",
            "../../wit/deps/cli.wit",
            "../../wit/deps/http.wit",
            "../../wit/auricle-runtime",
            "../../wit/auricle-audio",
            "../../wit/v0.1.0/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/v0.1.0/auricle-pipeline",
        ],
        world: "auricle:pipeline/chunker-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::super::imports::auricle::audio::types,
            "auricle:audio/clips": super::super::imports::auricle::audio::clips,
            "auricle:speech/types": super::imports::auricle::speech::types,
            "auricle:speech/voice-activity": super::imports::auricle::speech::voice_activity,
        },
        require_store_data_send: true,
    });
}

/// The export of a speaker-assigner.
pub mod assigner {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/io.wit",
            "../../wit/deps/random.wit",
            "../../wit/deps/clocks.wit",
            "../../wit/deps/filesystem.wit",
            "../../wit/deps/sockets.wit",
            "../../wit/deps/cli.wit",
            "../../wit/deps/http.wit",
            "../../wit/auricle-runtime",
            "../../wit/auricle-audio",
            "../../wit/v0.1.0/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/v0.1.0/auricle-pipeline",
        ],
        world: "auricle:pipeline/speaker-assigner-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::super::imports::auricle::runtime::configuration,
            "auricle:speech/types": super::imports::auricle::speech::types,
        },
        require_store_data_send: true,
    });
}

/// The export of a decoder.
pub mod decoder {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/io.wit",
            "../../wit/deps/random.wit",
            "../../wit/deps/clocks.wit",
            "../../wit/deps/filesystem.wit",
            "../../wit/deps/sockets.wit",
            "../../wit/deps/cli.wit",
            "../../wit/deps/http.wit",
            "../../wit/auricle-runtime",
            "../../wit/auricle-audio",
            "../../wit/v0.1.0/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/v0.1.0/auricle-pipeline",
        ],
        world: "auricle:pipeline/decoder-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::super::imports::auricle::audio::types,
            "auricle:audio/source": super::super::decoder::auricle::audio::source,
            "auricle:audio/samples": super::super::decoder::auricle::audio::samples,
        },
        require_store_data_send: true,
    });
}
