"""An hour of speech: the long file over and over, in one WAV file.

Nothing may be lost or said twice where one chunk ends and the next begins, times must rise, and
memory must grow with the samples alone.
"""

import json
import math

import common
import jiwer
import soundfile
from common import BIN, CACHE, LONG
from whisper_normalizer.english import EnglishTextNormalizer

HOUR_SECS = 3600
THREADS = 2
RATE = 16000
# Errors side by side from which on a passage counts as lost, or as said twice.
PASSAGE_WORDS = 6


def main():
    samples, rate = soundfile.read(LONG, dtype="int16")
    assert rate == RATE, rate
    rows = []
    for times in (1, math.ceil(HOUR_SECS * RATE / len(samples))):
        file = CACHE / f"long-{times}.wav"
        with soundfile.SoundFile(file, "w", RATE, 1) as wav:
            for _ in range(times):
                wav.write(samples)
        rows.append(row(file, times, times * len(samples) / RATE))
        file.unlink()
    head = [
        "minutes", "seconds taken", "WER", "passages lost", "passages added", "segments",
        "times that fall", "peak MB", "of it samples",
    ]
    note = (
        f"`{LONG.name}` once, and again and again, as one WAV file; `auricle transcribe` with model `base` "
        f"q8_0, {THREADS} workers. A passage is {PASSAGE_WORDS} wrong words or more side by side. Samples: 4 "
        "bytes each, held for the whole request. One run."
    )
    common.write_section("hour", "hour", "hour", f"{note}\n\n{common.table(head, rows)}")


def row(file, times, audio_secs):
    directory = CACHE / "out"
    command = [BIN / "auricle", "transcribe", "-q", "--language", "en", "--workers", THREADS]
    run = common.run([*command, "--format", "verbose_json", "-o", directory, file])
    answer = json.loads((directory / f"{file.stem}.json").read_text(encoding="utf-8"))
    normalise = EnglishTextNormalizer()
    words = jiwer.process_words(
        [normalise(" ".join([common.reference(LONG)] * times))], [normalise(answer["text"])]
    )
    return [
        f"{audio_secs / 60:.1f}",
        f"{run.wall_secs:.1f}",
        common.score(words),
        passages(words, "delete"),
        passages(words, "insert"),
        len(answer["segments"]),
        falling(answer["segments"]),
        f"{run.peak_mb:.0f}",
        f"{audio_secs * RATE * 4 / 1e6:.0f}",
    ]


def passages(words, kind):
    """Stretches of deletions or insertions of at least PASSAGE_WORDS words."""
    lengths = [
        max(part.ref_end_idx - part.ref_start_idx, part.hyp_end_idx - part.hyp_start_idx)
        for part in words.alignments[0]
        if part.type == kind
    ]
    return sum(length >= PASSAGE_WORDS for length in lengths)


def falling(segments):
    """Segments that start before the one before, or end before they start."""
    starts = [segment["start"] for segment in segments]
    back = sum(later < earlier for earlier, later in zip(starts, starts[1:]))
    return back + sum(segment["end"] < segment["start"] for segment in segments)


if __name__ == "__main__":
    main()
