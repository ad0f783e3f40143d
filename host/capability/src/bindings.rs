//! Generated bindings; nothing else.
//!
//! Interfaces are generated once, in [`imports`]; the worlds of the roles reuse them.

#![allow(missing_docs, reason = "generated")]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]

pub mod v0_1;

/// Every interface that a guest imports.
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
            "../../wit/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/handler-imports",
        imports: {
            "auricle:audio/decoding.decode": async | trappable,
            "auricle:audio/decoding.decode-channels": async | trappable,
            "auricle:speech/recognition.detect-language": async | trappable,
            "auricle:speech/recognition.list-models": async | trappable,
            "auricle:speech/recognition.find-model": async | trappable,
            "auricle:speech/diarization.diarize": async | trappable,
            "auricle:speech/voice-activity.probabilities": async | trappable,
            "auricle:speech/voice-activity.[method]detector.push": async | trappable,
            "auricle:speech/voice-activity.[method]detector.finish": async | trappable,
            "auricle:http/multipart.[method]form.next-part": async | trappable,
            "auricle:http/multipart.[method]part.text": async | trappable,
            "auricle:http/websocket.[method]socket.receive": async | trappable,
            "auricle:http/websocket.[method]socket.send": async | trappable,
            "auricle:http/websocket.[method]socket.checkpoint": async | trappable,
            "auricle:http/websocket.[method]socket.resumed": async | trappable,
            "auricle:pipeline/transcriber.[method]transcription.next": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "auricle:audio/clips.clip": auricle_speech::Clip,
            "auricle:audio/recording.recorder": auricle_audio::PcmRecorder,
            "auricle:speech/voice-activity.detector": crate::voice_activity::Detector,
            "auricle:http/multipart.form": auricle_multipart::Form,
            "auricle:http/multipart.part": auricle_multipart::Part,
            "auricle:http/websocket.socket": crate::websocket::HostSocket,
            "auricle:pipeline/transcriber.transcription": crate::transcriber::Transcription,
        },
        require_store_data_send: true,
    });
}

/// The export of a handler that serves WebSockets.
pub mod live {
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
            "../../wit/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/live-handler",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "auricle:runtime/log": super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::imports::auricle::audio::types,
            "auricle:audio/clips": super::imports::auricle::audio::clips,
            "auricle:audio/decoding": super::imports::auricle::audio::decoding,
            "auricle:audio/recording": super::imports::auricle::audio::recording,
            "auricle:speech/types": super::imports::auricle::speech::types,
            "auricle:speech/recognition": super::imports::auricle::speech::recognition,
            "auricle:speech/voice-activity": super::imports::auricle::speech::voice_activity,
            "auricle:speech/diarization": super::imports::auricle::speech::diarization,
            "auricle:http/multipart": super::imports::auricle::http::multipart,
            "auricle:http/websocket": super::imports::auricle::http::websocket,
            "auricle:pipeline/transcriber": super::imports::auricle::pipeline::transcriber,
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
            "../../wit/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/chunker-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::imports::auricle::audio::types,
            "auricle:audio/clips": super::imports::auricle::audio::clips,
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
            "../../wit/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/speaker-assigner-role",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::imports::auricle::runtime::configuration,
            "auricle:speech/types": super::imports::auricle::speech::types,
        },
        require_store_data_send: true,
    });
}

/// The export of a decoder, and the imports that only it has.
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
            "../../wit/auricle-speech",
            "../../wit/auricle-http",
            "../../wit/auricle-pipeline",
        ],
        world: "auricle:pipeline/decoder-role",
        imports: {
            "auricle:audio/source": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "auricle:runtime/log": super::imports::auricle::runtime::log,
            "auricle:runtime/configuration": super::imports::auricle::runtime::configuration,
            "auricle:audio/types": super::imports::auricle::audio::types,
        },
        require_store_data_send: true,
    });
}
