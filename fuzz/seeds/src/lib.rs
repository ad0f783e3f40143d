//! First inputs of the fuzz targets, from where the fuzzer goes on, and the words that both know.

mod media;

/// The boundary of forms.
pub const BOUNDARY: &str = "AuRiClE";

/// Names that are read, for a byte each; other names come as text.
pub const NAMES: [&str; 29] = [
    "model",
    "language",
    "languages[]",
    "keywords[]",
    "include[]",
    "prompt",
    "response_format",
    "temperature",
    "timestamp_granularities[]",
    "stream",
    "beam_size",
    "diarize",
    "num_speakers",
    "min_speakers",
    "max_speakers",
    "max_line_width",
    "max_line_count",
    "max_words_per_line",
    "chunking_strategy",
    "chunking_strategy[type]",
    "chunking_strategy[threshold]",
    "chunking_strategy[prefix_padding_ms]",
    "chunking_strategy[silence_duration_ms]",
    "task",
    "word_timestamps",
    "subtitles",
    "multichannel",
    "timestamp_granularities",
    "include",
];

/// The seeds of every target.
#[must_use]
pub fn all() -> [(&'static str, Vec<Vec<u8>>); 6] {
    [
        ("multipart", multipart()),
        ("wav", wav()),
        ("media", media::files()),
        ("parameters", parameters()),
        ("events", events()),
        ("subtitles", subtitles()),
    ]
}

/// Text and the byte that ends it.
fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0xFF]].concat()
}

fn multipart() -> Vec<Vec<u8>> {
    let body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nbase\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\nRIFF\r\n--{BOUNDARY}--\r\n"
    );
    let types = [
        "multipart/form-data; boundary=AuRiClE",
        "multipart/form-data; boundary=\"a b\"",
        "multipart/mixed; boundary=x",
    ];
    let mut seeds: Vec<_> = types
        .iter()
        .map(|it| [&[0, 0], text(it).as_slice()].concat())
        .collect();
    seeds.extend([0, 1, 7, 40].map(|piece| [&[1, piece], body.as_bytes()].concat()));
    seeds.push([&[1, 0], &body.as_bytes()[..body.len() - 10]].concat());
    seeds.push([&[1, 0], body.replace("\r\n", "\n").as_bytes()].concat());
    let part = |read: u8, name: &str, content: &str| {
        [
            vec![read],
            text(name),
            vec![1],
            text("a.wav"),
            text(content),
        ]
        .concat()
    };
    let parts = [
        part(1, "file", "some\r\ncontent"),
        part(0, "left", "--"),
        part(1, "", ""),
    ]
    .concat();
    seeds.extend([0, 3].map(|piece| [&[2, piece], parts.as_slice()].concat()));
    seeds
}

fn wav() -> Vec<Vec<u8>> {
    let file = |tag: u16, channels: u16, bits: u16, more: &[u8], data_bytes: u32| {
        let frame = channels * bits.div_ceil(8);
        let format = [
            tag.to_le_bytes().as_slice(),
            &channels.to_le_bytes(),
            &16_000_u32.to_le_bytes(),
            &(16_000 * u32::from(frame)).to_le_bytes(),
            &frame.to_le_bytes(),
            &bits.to_le_bytes(),
            more,
        ]
        .concat();
        let length = (format.len() as u32).to_le_bytes();
        let head = [b"RIFF\0\0\0\0WAVEfmt ".as_slice(), &length, &format].concat();
        [
            head.as_slice(),
            b"data",
            &data_bytes.to_le_bytes(),
            &[0x40; 96],
        ]
        .concat()
    };
    let mut extensible = vec![22, 0, 16, 0, 0x3F, 0, 0, 0, 1, 0];
    extensible.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    let plain = file(1, 1, 16, &[], 96);
    let long = [
        b"RF64\xFF\xFF\xFF\xFFWAVEds64\x10\0\0\0".as_slice(),
        &[0; 8],
        &96_u64.to_le_bytes(),
        &plain[12..36],
        b"data\xFF\xFF\xFF\xFF",
        &[1; 96],
    ]
    .concat();
    vec![
        plain,
        file(1, 2, 24, &[], 96),
        file(3, 1, 32, &[], u32::MAX),
        file(3, 1, 64, &[], 0),
        file(6, 1, 8, &[0, 0], 96),
        file(7, 2, 8, &[0, 0], 96),
        file(0xFFFE, 6, 16, &extensible, 96),
        file(2, 1, 4, &[0, 0], 96),
        file(0x55, 1, 0, &[], 96),
        long,
    ]
}

/// A field as `parameters::fields` reads it.
fn field(name: &str, value: &str) -> Vec<u8> {
    let number = NAMES.iter().position(|it| *it == name);
    match number {
        Some(number) => [vec![number as u8 + 1], text(value)].concat(),
        None => [vec![255], text(name), text(value)].concat(),
    }
}

fn parameters() -> Vec<Vec<u8>> {
    let values = [
        ("model", "whisper-1"),
        ("language", "german"),
        ("languages[]", "en,de"),
        ("keywords[]", "Auricle"),
        ("include[]", "logprobs"),
        ("response_format", "verbose_json"),
        ("response_format", "diarized_json"),
        ("response_format", "srt"),
        ("temperature", "0.2"),
        ("timestamp_granularities[]", "word,segment"),
        ("stream", "true"),
        ("beam_size", "5"),
        ("diarize", "yes"),
        ("num_speakers", "2"),
        ("max_line_width", "42"),
        ("max_line_count", "2"),
        ("max_words_per_line", "7"),
        ("chunking_strategy", "auto"),
        (
            "chunking_strategy",
            "{\"type\":\"server_vad\",\"threshold\":0.5}",
        ),
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[threshold]", "0.4"),
        ("chunking_strategy[silence_duration_ms]", "500"),
        ("task", "translate"),
        ("word_timestamps", "true"),
        ("subtitles", "1"),
        ("multichannel", "true"),
        ("timestamp_granularities[0]", "word"),
    ];
    let mut seeds: Vec<_> = values
        .iter()
        .map(|(name, value)| field(name, value))
        .collect();
    seeds.push(
        values
            .iter()
            .flat_map(|(name, value)| field(name, value))
            .collect(),
    );
    let query = "/transcribe?language=de&task=translate&beam_size=8&temperature=1&prompt=a%20b+c";
    seeds.push([vec![0], text(query)].concat());
    seeds
}

/// A transcript as `transcript::transcript` reads it: 12 s, two segments, some words with times.
fn transcript() -> Vec<u8> {
    let second = [
        vec![3, 20, 0],
        text("これは字幕です。 --> <b>&amp;</b>\n\nNext"),
        vec![0, 1],
    ];
    [
        vec![120, 5, 30, 1],
        text("Ann"),
        text("Hello there, how are you? I am fine, thank you."),
        vec![10, 1, 2, 250, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F, 3, 9],
        second.concat(),
    ]
    .concat()
}

fn events() -> Vec<Vec<u8>> {
    let asked = [
        Vec::new(),
        field("response_format", "diarized_json"),
        field("include[]", "logprobs"),
        field("languages[]", "en"),
        [
            field("model", "gpt-transcribe"),
            field("response_format", "text"),
        ]
        .concat(),
    ];
    asked
        .map(|fields| [fields, vec![0], transcript()].concat())
        .into()
}

fn subtitles() -> Vec<Vec<u8>> {
    let looks = [[42, 2, 0], [10, 1, 1], [200, 10, 3]];
    looks
        .map(|look| [look.to_vec(), transcript()].concat())
        .into()
}
