//! The decoder in its sandbox, without HTTP in between: what it makes of honest files, and that
//! files which are meant to harm cost their sender the file and nobody else anything.

/// Headers that lie, bombs, and the media faults that were found in other servers.
mod bombs;
/// ffmpeg for what no decoder knows.
mod converter;
/// Damage: truncations and thousands of mutations.
mod damage;
/// Another server's faults in media.
mod elsewhere;
/// Decoders that misbehave.
mod misdeeds;

use std::io::Cursor;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use auricle::assemble::Node;
use auricle_audio::DecodeLimits;
use auricle_capability::{Channels, Media, MediaError, MediaHint, RequestScope, Services};
use auricle_decoder::native;
use auricle_speech::{Clip, RequestClass, TenantId};
use auricle_tenancy::Account;

use crate::inside::config;
use crate::support::audio::{evaluation_or_say, jfk, speech, wav};
use crate::support::files::{flac_of_silence, opus_voice};
use crate::support::muxers::{PLAY, Track, fragmented, mkv, mov, mp3_frame};

/// The node of these tests: no model is loaded and no port open.
fn node() -> &'static Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    NODE.get_or_init(|| Node::assemble(&config("")).unwrap())
}

fn scope(tenant: &str) -> RequestScope {
    RequestScope {
        tenant: TenantId::new(tenant).unwrap(),
        request_id: "decoding".into(),
        class: RequestClass::Interactive,
        deadline: Instant::now() + Duration::from_secs(120),
        account: Account::unlimited(),
    }
}

/// Decodes on `node` for a tenant.
async fn decode_for(
    node: &Node,
    tenant: &str,
    bytes: Vec<u8>,
    max: Duration,
) -> Result<Clip, MediaError> {
    let mut clips = decode_as(node, tenant, bytes, Channels::Mixed, max).await?;
    assert_eq!(clips.len(), 1);
    Ok(clips.remove(0))
}

async fn decode_as(
    node: &Node,
    tenant: &str,
    bytes: Vec<u8>,
    channels: Channels,
    max: Duration,
) -> Result<Vec<Clip>, MediaError> {
    let media = Media::reader(Cursor::new(bytes));
    let (scope, hint) = (scope(tenant), MediaHint::default());
    let decoding = node.pipeline.decode(&scope, media, hint, channels, max);
    decoding.await
}

async fn decode(bytes: Vec<u8>, max: Duration) -> Result<Clip, MediaError> {
    decode_for(node(), "default", bytes, max).await
}

/// Small files of as many kinds as there are here: made on the spot, fetched, evaluation data.
fn files() -> Vec<(String, Vec<u8>)> {
    let speech = &speech().samples[..4 * 16_000];
    let samples: Vec<f32> = speech.iter().map(|s| f32::from(*s) / 32_768.0).collect();
    let mut files = vec![
        ("made.wav".to_owned(), wav(speech)),
        ("made.opus".to_owned(), opus_voice(&samples)),
        ("made.flac".to_owned(), flac_of_silence(1, 65_535)),
    ];
    files.extend(containers(speech).map(|(name, bytes)| (name.to_owned(), bytes)));
    if let Some(path) = jfk("jfk.mp3") {
        files.push(("jfk.mp3".to_owned(), std::fs::read(path).unwrap()));
    }
    for name in [
        "jfk_441khz.m4a",
        "mono_24bit.flac",
        "mono_8bit.wav",
        "p001.aac",
        "p001.aiff",
        "p001.flac",
        "p001.mp3",
        "p001.mp4",
        "p001.ogg",
        "p001.webm",
        "video_with_audio.mp4",
    ] {
        if let Some(path) = evaluation_or_say(&format!("codecs/{name}")) {
            files.push((name.to_owned(), std::fs::read(path).unwrap()));
        }
    }
    files
}

/// Files of containers whose time is kept: edits, fragments, gaps.
fn containers(speech: &[i16]) -> [(&'static str, Vec<u8>); 4] {
    let mut track = Track::sound(1, &speech[..16_000]);
    track.edits = vec![(300, -1, PLAY), (900, 1_600, PLAY), (200, 0, PLAY)];
    let edited = mov(&[track.clone()]);
    track.edits.clear();
    let pieces = fragmented(&track, &[(0, 4_000), (12_000, 4_000), (16_000, 8_000)]);
    let blocks = speech[..16_000]
        .chunks(800)
        .enumerate()
        .map(|(number, block)| {
            let bytes = block.iter().flat_map(|it| it.to_le_bytes()).collect();
            (1, number as u32 * 150, bytes)
        });
    let blocks: Vec<_> = blocks.collect();
    let gaps = mkv(&[(1, true, 2, "A_PCM/INT/LIT")], None, &blocks);
    let frames = [
        mp3_frame(true).repeat(20),
        vec![0x55; 2_880],
        mp3_frame(false).repeat(20),
    ];
    [
        ("made.mov", edited),
        ("made.fragments", pieces),
        ("made.mkv", gaps),
        ("made.mp3", frames.concat()),
    ]
}

#[tokio::test]
async fn the_sandbox_gives_what_the_same_code_gives_outside_of_it() {
    for (name, bytes) in files() {
        let limits = DecodeLimits::default();
        let outside = native::decode_bytes(bytes.clone(), Default::default(), &limits).unwrap();
        let inside = decode(bytes, Duration::MAX).await;
        let inside = inside.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(inside.len_samples(), outside.len_samples(), "{name}");
        let pairs = inside.samples().iter().zip(outside.samples());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // The mathematics of the two machines differ in the last bits.
        assert!(worst < 1e-3, "{name}: {worst}");
    }
}

#[tokio::test]
async fn every_file_of_the_evaluation_data_decodes() {
    for name in [
        "silence30.flac",
        "whitenoise20.flac",
        "conv2_shared.ogg",
        "long_shared.ogg",
    ] {
        let Some(path) = evaluation_or_say(&format!("derived/{name}")) else {
            return;
        };
        let clip = decode(std::fs::read(path).unwrap(), Duration::MAX).await;
        let secs = clip.unwrap().duration().as_secs_f64();
        println!("{name}: {secs} s");
        assert!(secs > 19.0, "{name}: {secs}");
    }
}

/// A request that is given up must not keep a core busy.
#[tokio::test]
async fn a_decoder_ends_with_its_request() {
    let (day, _) = (flac_of_silence(10_000, 0), node());
    let began = Instant::now();
    let long = decode(day, Duration::from_secs(4 * 60 * 60));
    let given_up = tokio::time::timeout(Duration::from_millis(30), long).await;
    assert!(given_up.is_err());
    // As many as there are cores: each would have to wait for the one that was given up.
    let small = || decode(wav(&[0; 1_600]), Duration::MAX);
    let (a, b) = tokio::join!(small(), small());
    assert_eq!(a.unwrap().len_samples() + b.unwrap().len_samples(), 3_200);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
