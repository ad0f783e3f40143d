//! The first-party components, built from source and embedded.
//!
//! Owns bytes and nothing else: they are compiled, checked and deployed by the same calls as a
//! tenant's own components. The build script compiles `guest/`; when it says that the target is
//! missing, run `make setup`.

mod built {
    include!(concat!(env!("OUT_DIR"), "/components.rs"));
}

/// Role `handler`: the tutorial API over HTTP and WebSocket.
pub const HANDLER: &[u8] = built::AURICLE_HANDLER;

/// Role `decoder`: audio files of any kind.
pub const DECODER: &[u8] = built::AURICLE_DECODER;

/// Role `chunker`: cuts at pauses.
pub const CHUNKER: &[u8] = built::AURICLE_CHUNKER;

/// Role `speaker-assigner`: segments and words get the speaker whose turn it is.
pub const SPEAKER_ASSIGNER: &[u8] = built::AURICLE_SPEAKER_ASSIGNER;

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )]
    use wit_component::DecodedWasm;
    use wit_parser::{WorldItem, WorldKey};

    use super::*;

    /// The names of what a component imports and exports.
    fn interfaces(component: &[u8]) -> (Vec<String>, Vec<String>) {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(component).unwrap()
        else {
            panic!("not a component");
        };
        let names = |items: Vec<(&WorldKey, &WorldItem)>| {
            let mut names: Vec<_> = items
                .into_iter()
                .map(|(key, _)| resolve.name_world_key(key))
                .collect();
            names.sort();
            names
        };
        let world = &resolve.worlds[world];
        (
            names(world.imports.iter().collect()),
            names(world.exports.iter().collect()),
        )
    }

    #[test]
    fn a_chunker_sees_the_clip_its_voices_what_is_asked_its_configuration_and_the_log() {
        let (imports, exports) = interfaces(CHUNKER);
        assert_eq!(exports, ["auricle:pipeline/chunker@0.2.0"]);
        assert_eq!(
            imports,
            [
                "auricle:audio/clips@0.1.0",
                "auricle:audio/types@0.1.0",
                "auricle:pipeline/chunking@0.2.0",
                "auricle:runtime/configuration@0.1.0",
                "auricle:runtime/log@0.1.0",
                "auricle:speech/types@0.2.0",
                "auricle:speech/voice-activity@0.2.0",
            ]
        );
    }

    #[test]
    fn a_decoder_sees_its_file_and_the_log() {
        let (imports, exports) = interfaces(DECODER);
        assert_eq!(exports, ["auricle:pipeline/decoder@0.2.0"]);
        assert_eq!(
            imports,
            [
                "auricle:audio/samples@0.1.0",
                "auricle:audio/source@0.1.0",
                "auricle:audio/types@0.1.0",
                "auricle:runtime/log@0.1.0",
            ]
        );
    }

    #[test]
    fn a_speaker_assigner_sees_no_audio() {
        let (imports, exports) = interfaces(SPEAKER_ASSIGNER);
        assert_eq!(exports, ["auricle:pipeline/speaker-assigner@0.2.0"]);
        assert_eq!(
            imports,
            [
                "auricle:runtime/configuration@0.1.0",
                "auricle:runtime/log@0.1.0",
                "auricle:speech/types@0.2.0",
            ]
        );
    }

    #[test]
    fn the_handler_serves_http_and_websockets_and_reaches_no_network_or_files() {
        let (imports, exports) = interfaces(HANDLER);
        assert_eq!(
            exports,
            [
                "auricle:http/websocket-handler@0.1.0",
                "wasi:http/incoming-handler@0.2.12",
            ]
        );
        for import in imports {
            let allowed = [
                "auricle:",
                "wasi:io/",
                "wasi:clocks/monotonic-clock@",
                "wasi:http/types@",
            ];
            assert!(allowed.iter().any(|a| import.starts_with(a)), "{import}");
        }
    }
}
