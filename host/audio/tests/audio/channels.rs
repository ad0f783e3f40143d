//! Channels apart.

use std::time::Duration;

use auricle_audio::{AudioError, ChannelsBuilder, DecodeLimits};

fn builder(max_secs: u64) -> ChannelsBuilder {
    ChannelsBuilder::new(DecodeLimits {
        max_duration: Duration::from_secs(max_secs),
        ..DecodeLimits::default()
    })
}

#[test]
fn each_channel_becomes_a_clip_of_its_own() {
    let mut channels = builder(60);
    channels.push(&[], 2, 16_000).unwrap();
    for _ in 0..2 {
        channels.push(&[0.25, -0.5, 0.25, -0.5], 2, 16_000).unwrap();
    }
    let clips = channels.finish().unwrap();
    assert_eq!(clips.len(), 2);
    assert_eq!(clips[0].samples(), [0.25; 4]);
    assert_eq!(clips[1].samples(), [-0.5; 4]);
}

#[test]
fn channels_at_another_rate_are_equally_long() {
    let mut channels = builder(60);
    channels.push(&vec![0.1; 3 * 44_100], 3, 44_100).unwrap();
    let clips = channels.finish().unwrap();
    let lengths: Vec<u64> = clips.iter().map(|clip| clip.len_samples()).collect();
    assert_eq!(lengths, [16_000; 3]);
}

#[test]
fn every_channel_counts_against_the_limit() {
    let second = vec![0.0; 16_000 * 4];
    let mut channels = builder(8);
    channels.push(&second, 4, 16_000).unwrap();
    channels.push(&second, 4, 16_000).unwrap();
    assert_eq!(channels.duration(), Duration::from_secs(8));
    let error = channels.push(&second[..4], 4, 16_000).unwrap_err();
    assert!(
        matches!(error, AudioError::TooLong { max_secs: 8 }),
        "{error}"
    );
}

#[test]
fn a_file_whose_channels_change_in_number_is_refused_and_one_without_samples_is_empty() {
    let mut channels = builder(60);
    channels.push(&[0.0, 0.0], 2, 16_000).unwrap();
    let error = channels.push(&[0.0], 1, 16_000).unwrap_err();
    assert!(
        matches!(error, AudioError::ChannelsChange { from: 2, to: 1 }),
        "{error}"
    );
    assert!(!error.is_about_layout());
    let clips = builder(60).finish().unwrap();
    assert!(clips.len() == 1 && clips[0].is_empty());
}
