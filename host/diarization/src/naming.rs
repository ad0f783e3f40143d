//! Speakers' names: a known one's own, or a number in order of appearance.

use auricle_speech::{SAMPLE_RATE, Turn};

use crate::cluster::{Group, dot};
use crate::options::{DiarizeOptions, KnownSpeaker};
use crate::session::{Diarized, Speaker};
use crate::turns::Stretch;

/// Speakers after those of one known name are put together.
pub(crate) struct Named {
    pub voices: Vec<Vec<f32>>,
    pub names: Vec<Option<String>>,
    /// Where each of the speakers before went.
    pub place_of: Vec<usize>,
}

/// Names the speakers who gathered round a known voice, and those who sound like one. With a fixed
/// number of speakers a name is given once.
pub(crate) fn name(speakers: &[Group], known: &[KnownSpeaker], options: &DiarizeOptions) -> Named {
    let min_cosine = options.tuning.known_speaker_cosine;
    let centres: Vec<_> = speakers.iter().map(Group::centre).collect();
    let mut pairs = Vec::new();
    for (speaker, centre) in centres.iter().enumerate() {
        for (index, known) in known.iter().enumerate() {
            let cosine = dot(centre, &known.embedding);
            if cosine >= min_cosine {
                pairs.push((cosine, speaker, index));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let once = options.num_speakers.is_some() || options.min_speakers.is_some();
    let mut given: Vec<Option<usize>> = speakers.iter().map(|group| group.known).collect();
    for (_, speaker, index) in pairs {
        let taken = once && given.contains(&Some(index));
        if let Some(slot) = given.get_mut(speaker)
            && slot.is_none()
            && !taken
        {
            *slot = Some(index);
        }
    }
    let (mut voices, mut names, mut place_of) = (Vec::new(), Vec::new(), Vec::new());
    for (centre, given) in centres.into_iter().zip(given) {
        let name = given
            .and_then(|index| known.get(index))
            .map(|known| known.name.clone());
        let before = names
            .iter()
            .position(|other| name.is_some() && *other == name);
        place_of.push(before.unwrap_or(voices.len()));
        if before.is_none() {
            voices.push(centre);
            names.push(name);
        }
    }
    Named {
        voices,
        names,
        place_of,
    }
}

/// Turns and speakers with labels, in order of first appearance.
pub(crate) fn label(found: &[Stretch], named: &Named) -> Diarized {
    let names = &named.names;
    let mut out = Diarized::default();
    let mut place: Vec<Option<usize>> = vec![None; named.voices.len()];
    // A known speaker who speaks may have a name like a number.
    let taken = |label: &String| {
        let mut heard = found
            .iter()
            .filter_map(|stretch| names.get(stretch.speaker)?.as_ref());
        heard.any(|name| name == label)
    };
    let mut unnamed = 0;
    for stretch in found {
        let Some(slot) = place.get_mut(stretch.speaker) else {
            continue;
        };
        let at = *slot.get_or_insert_with(|| {
            let name = names.get(stretch.speaker).cloned().flatten();
            let label = name.unwrap_or_else(|| {
                let mut numbered =
                    (unnamed..).map(|number| (number, format!("SPEAKER_{number:02}")));
                let (number, label) = numbered.find(|(_, l)| !taken(l)).unwrap_or_default();
                unnamed = number + 1;
                label
            });
            let embedding = named
                .voices
                .get(stretch.speaker)
                .cloned()
                .unwrap_or_default();
            out.speakers.push(Speaker {
                label,
                embedding,
                speech_secs: 0.0,
            });
            out.speakers.len() - 1
        });
        let secs = |samples: u64| samples as f64 / f64::from(SAMPLE_RATE);
        let (start, end) = (secs(stretch.start_samples), secs(stretch.end_samples));
        if let Some(speaker) = out.speakers.get_mut(at) {
            speaker.speech_secs += end - start;
            let speaker = speaker.label.clone();
            out.turns.push(Turn {
                speaker,
                start,
                end,
            });
        }
    }
    out
}
