use std::sync::OnceLock;
use std::time::Duration;

use auricle::assemble::Node;
use auricle_capability::MediaError;

use super::decode_for;
use crate::guests::{TIGHT, file, wasm};
use crate::inside::config;
use crate::support::audio::wav;

const MISDEEDS: [&str; 8] = [
    "panics", "spins", "hoards", "floods", "lies", "seeks", "gives-up", "ignores",
];

/// A node on which each tenant has a decoder that does what the tenant is called.
fn node() -> &'static Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    NODE.get_or_init(|| {
        let path = file(wasm::DECODER_MISBEHAVES);
        let tenants = MISDEEDS.map(|misdeed| {
            format!(
                "[tenants.{misdeed}.decoder]\npath = '{}'\n\
                 configuration = {{ misdeed = '{misdeed}' }}\n{TIGHT}\n",
                path.display()
            )
        });
        Node::assemble(&config(&tenants.concat())).unwrap()
    })
}

async fn outcome(misdeed: &str) -> Result<auricle_speech::Clip, MediaError> {
    let file = wav(&[1_000; 16_000]);
    let outcome = decode_for(node(), misdeed, file.clone(), Duration::from_secs(60)).await;
    // Whoever uses the first-party decoder has it as ever.
    let beside = decode_for(node(), "default", file, Duration::from_secs(60)).await;
    assert_eq!(beside.unwrap().len_samples(), 16_000);
    outcome
}

#[tokio::test]
async fn a_decoder_that_panics_spins_hoards_or_seeks_without_end_costs_the_file_alone() {
    for misdeed in ["panics", "spins", "hoards", "seeks"] {
        let error = outcome(misdeed).await.unwrap_err();
        match &error {
            MediaError::Undecodable(text) => assert!(text.contains("cannot be decoded"), "{text}"),
            error => panic!("{misdeed}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_decoder_that_floods_its_clip_is_refused_whatever_it_says() {
    let error = outcome("floods").await.unwrap_err();
    assert_eq!(error, MediaError::TooLong { max_secs: 60 });
}

#[tokio::test]
async fn layouts_that_cannot_be_are_refused_and_what_is_no_number_is_silence() {
    let clip = outcome("lies").await.unwrap();
    assert_eq!(clip.samples(), vec![0.0; 16_000]);
}

#[tokio::test]
async fn a_decoders_long_text_is_cut() {
    match outcome("gives-up").await.unwrap_err() {
        MediaError::Undecodable(text) => assert_eq!(text.len(), 1_000),
        error => panic!("{error:?}"),
    }
}

/// What came of a file that broke off must not pass for a short file.
#[tokio::test]
async fn a_file_that_breaks_off_is_an_error_whatever_the_decoder_says() {
    use auricle_capability::{Channels, Media, MediaHint, Services, SourceFailure};
    struct Breaks(bool);
    impl std::io::Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            let front = wav(&[1_000; 16_000]);
            let length = buffer.len().min(front.len() / 2);
            buffer[..length].copy_from_slice(&front[..length]);
            Ok(length)
        }
    }
    for tenant in ["ignores", "default"] {
        let (scope, media) = (super::scope(tenant), Media::reader(Breaks(false)));
        let pipeline = &node().pipeline;
        let hint = MediaHint::default();
        let decoding = pipeline.decode(&scope, media, hint, Channels::Mixed, Duration::MAX);
        let error = decoding.await.unwrap_err();
        assert_eq!(
            error,
            MediaError::Source(SourceFailure::Disconnected),
            "{tenant}"
        );
    }
}
