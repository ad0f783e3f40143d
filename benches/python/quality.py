"""Word and character error rates, and what is made of recordings without speech.

Auricle runs as `auricle transcribe` with its defaults (greedy, Whisper's temperature ladder);
faster-whisper computes in float32 with the same weights, greedy, the same ladder and no text of the
window before. Both get the language. For English a beam search is beside it.
"""

import re

import av
import common
import ctranslate2
import numpy
import soundfile
import zhconv
from common import CACHE, DATA, Score
from faster_whisper import WhisperModel
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

PEER = "faster-whisper float32"
QUANTIZATIONS = ("q8_0", "f16", "q5_1")
BEAM = 5
LANGUAGES = {
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "pt": "Portuguese",
    "ja": "Japanese",
    "ko": "Korean",
    "zh": "Chinese",
}
# Written without spaces between words, or with spaces that writers set as they like.
BY_CHARACTER = ("ja", "ko", "zh")


def main():
    peer = WhisperModel(str(common.ct2_model()), compute_type="float32", cpu_threads=2)
    english(peer)
    languages(peer)
    no_speech(peer)


def peer_texts(peer, files, language, beam_size=1):
    # The ladder draws at random; a fixed seed makes the table the same every time.
    ctranslate2.set_random_seed(0)
    return [
        " ".join(s.text for s in peer.transcribe(
            str(file),
            language=language,
            beam_size=beam_size,
            condition_on_previous_text=False,
        )[0])
        for file in files
    ]


def english(peer):
    normalise = EnglishTextNormalizer()
    rows, totals = [], {}
    for name, files in common.english_sets().items():
        references = [common.reference(file) for file in files]
        scores = {}
        for quantization in QUANTIZATIONS:
            texts = common.transcribe(files, CACHE / "out", f"base:{quantization}", "en")
            scores[quantization] = common.word_errors(references, texts, normalise)
        texts = peer_texts(peer, files, "en")
        scores[PEER] = common.word_errors(references, texts, normalise)
        beams = {
            f"auricle q8_0, beam {BEAM}": common.transcribe(
                files, CACHE / "out", "base:q8_0", "en", beam_size=BEAM
            ),
            f"{PEER}, beam {BEAM}": peer_texts(peer, files, "en", BEAM),
        }
        for key, texts in beams.items():
            scores[key] = common.word_errors(references, texts, normalise)
        rows.append([name, len(files), *scores.values()])
        for key, value in scores.items():
            totals[key] = totals.get(key, Score(0, 0)) + value
    rows.append(["**all**", sum(row[1] for row in rows), *totals.values()])
    names = [f"auricle {key}" if key in QUANTIZATIONS else key for key in totals]
    head = ["English set", "files", *names]
    note = "Word error rate in per cent (errors/words), Whisper's English normaliser on both sides."
    common.write_section("quality", "english", "quality", f"{note}\n\n{common.table(head, rows)}")


def languages(peer):
    rows, noted = [], False
    for code, name in LANGUAGES.items():
        files = common.audio_files(f"{code}/*")
        heard = [readable(file, code) for file in files]
        noted |= heard != files
        references = [common.reference(file) for file in files]
        row = [f"{name} ({code})", len(files)]
        for texts in (
            common.transcribe(heard, CACHE / "out", "base:q8_0", code),
            peer_texts(peer, files, code),
        ):
            row.append(common.word_errors(references, texts, normaliser(code)))
            by_character = code in BY_CHARACTER
            characters = common.character_errors(references, texts, normaliser(code))
            row.append(characters if by_character else "")
        rows.append(row)
    head = ["Language", "files", "auricle q8_0 WER", "CER", f"{PEER} WER", "CER"]
    note = (
        "Error rates in per cent (errors/words or characters), Whisper's basic normaliser on both "
        "sides, Chinese folded to simplified characters. Where words are not set apart by spaces, "
        "the word error rate counts whole phrases and only the character error rate means something."
    )
    if noted:
        note += " Files that auricle does not decode were given to it as WAV."
    common.write_section("quality", "languages", "quality", f"{note}\n\n{common.table(head, rows)}")


def normaliser(code):
    basic = BasicTextNormalizer()
    if code != "zh":
        return basic
    return lambda text: basic(zhconv.convert(text, "zh-hans"))


def readable(file, code):
    """The file, or a WAV of it where Auricle does not decode its format."""
    if common.transcribe([file], CACHE / "out", "base:q8_0", code, check=False) != [None]:
        return file
    wav = CACHE / "wav" / f"{file.stem}.wav"
    wav.parent.mkdir(parents=True, exist_ok=True)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(file)) as source:
        frames = [f for frame in source.decode(audio=0) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    samples = numpy.concatenate([frame.to_ndarray().ravel() for frame in frames])
    soundfile.write(wav, samples, 16_000)
    return wav


def no_speech(peer):
    files = common.audio_files("nonspeech/*")
    files += [DATA / "derived" / name for name in ("silence30.flac", "whitenoise20.flac")]
    ours = common.transcribe(files, CACHE / "out", "base:q8_0", "en")
    detected = common.transcribe(files, CACHE / "out", "base:q8_0")
    theirs = peer_texts(peer, files, "en")
    rows = [
        [file.name, *(quoted(text) for text in texts)]
        for file, *texts in zip(files, ours, detected, theirs, strict=True)
    ]
    head = ["Recording without speech", "auricle q8_0", "auricle q8_0, no language given", PEER]
    note = "What was written where nobody speaks; a dash is the right answer."
    common.write_section("quality", "no-speech", "quality", f"{note}\n\n{common.table(head, rows)}")


def quoted(text):
    text = re.sub(r"\s+", " ", text).strip().replace("|", "\\|")
    short = text if len(text) <= 60 else f"{text[:57]}…"
    words = len(text.split())
    return f"“{short}” ({words} word{'s' if words != 1 else ''})" if text else "–"


if __name__ == "__main__":
    main()
