//! What a request asks for: any query and any fields are options within their ranges, or a refusal
//! with status 400 that names what to do.

use auricle_fuzz_seeds::NAMES;
use auricle_handler::native::{Read, openai, transcribe};

use crate::input::Input;

/// Fields, and a query of the rest where a byte is 0.
#[must_use]
pub fn fields(input: &mut Input<'_>) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while !input.is_empty() && fields.len() < 64 {
        let name = match input.byte() {
            0 => break,
            number => match NAMES.get(usize::from(number) - 1) {
                Some(name) => (*name).to_owned(),
                None => input.text(),
            },
        };
        fields.push((name, input.text()));
    }
    fields
}

/// Reads fields, and what follows them as a query.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let fields = fields(&mut input);
    let query = input.text();
    sound(transcribe(&query, &fields));
    sound(openai(&fields, false));
    sound(openai(&fields, true));
}

fn sound(read: Read) {
    match read {
        Ok(options) => {
            assert!((0.0..=1.0).contains(&options.temperature));
            assert!((1..=8).contains(&options.beam_size));
            if let Some(chunking) = options.chunking {
                assert!(
                    chunking
                        .threshold
                        .is_none_or(|it| (0.0..=1.0).contains(&it))
                );
                assert!(chunking.prefix_padding_ms.is_none_or(|ms| ms <= 5_000));
                assert!(chunking.silence_duration_ms.is_none_or(|ms| ms <= 30_000));
            }
            let speakers = options.diarize.iter();
            let numbers =
                speakers.flat_map(|it| [it.num_speakers, it.min_speakers, it.max_speakers]);
            assert!(numbers.flatten().all(|number| (1..=1000).contains(&number)));
        }
        Err((status, body)) => {
            assert_eq!(status, 400, "{body}");
            let message = body["error"]["message"].as_str().expect("a message");
            assert!(!message.is_empty() && message.len() < 1_000, "{message}");
        }
    }
}
