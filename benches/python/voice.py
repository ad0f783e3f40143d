"""What voice activity does to transcripts: word errors, words where nobody speaks, and work.

`auricle transcribe` with its defaults, and with chunks cut by energy on a server that has no ONNX
Runtime. Every set with transcripts, long recordings as they are, and made-up ones: LibriSpeech's
sentences with pauses between them, silent or in the noise of a room.
"""

import os
import sys

import common
import numpy as np
from common import CACHE, DATA
from quality import BY_CHARACTER, LANGUAGES, normaliser
from whisper_normalizer.english import EnglishTextNormalizer

RATE = 16_000
WITHOUT = '[models]\nonnxruntime = "/nowhere/libonnxruntime.so"\n'
# For trying other settings: a configuration file for the side with voice activity.
WITH = os.environ.get("BENCH_CONFIG", "")
# Least and most seconds of a pause, level of the noise under it all, sentences of a recording.
PAUSES = {
    "pauses of 0.3 to 1 s": (0.3, 1.0, 0.0, 20),
    "pauses of 0.3 to 1 s, noise": (0.3, 1.0, 0.003, 20),
    "pauses of 1 to 3 s": (1.0, 3.0, 0.0, 10),
    "pauses of 1 to 3 s, noise": (1.0, 3.0, 0.003, 10),
    "pauses of 3 to 12 s": (3.0, 12.0, 0.0, 8),
    "pauses of 3 to 12 s, noise": (3.0, 12.0, 0.003, 8),
}


def main():
    rows = []
    for name, code, files in sets():
        texts = [file.with_suffix(".txt").read_text(encoding="utf-8") for file in files]
        sides = [heard(files, code, config) for config in (WITH, WITHOUT)]
        errors = [scored(texts, found, code) for found, _ in sides]
        secs = [took for _, took in sides]
        rows.append([name, len(files), *errors, f"{secs[0] / secs[1]:.2f}"])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    head = ["set", "files", "with voice activity", "without", "CPU time, with / without"]
    note = (
        "Word error rate in per cent (errors/words; characters where words are not set apart), model "
        "`base` q8_0, language given. CPU time of the whole process."
    )
    common.write_section("voice", "errors", "voice", f"{note}\n\n{common.table(head, rows)}")
    silent = common.audio_files("nonspeech/*")
    silent += [DATA / "derived" / name for name in ("silence30.flac", "whitenoise20.flac")]
    counts = [sum(len(t.split()) for t in heard(silent, "en", c)[0]) for c in (WITH, WITHOUT)]
    text = (
        f"Words in {len(silent)} recordings in which nobody speaks: {counts[0]} with voice activity, "
        f"{counts[1]} without."
    )
    common.write_section("voice", "nothing", "voice", text)


def sets():
    for name, files in common.english_sets().items():
        yield name, "en", files
    yield "conversations", "en", [DATA / f"derived/conv{n}_shared.ogg" for n in (2, 4)]
    for code, name in LANGUAGES.items():
        yield f"{name} ({code})", code, common.audio_files(f"{code}/*")
    sentences = common.english_sets()["LibriSpeech"]
    for seed, (name, shape) in enumerate(PAUSES.items()):
        yield name, "en", with_pauses(sentences, seed, *shape)


def heard(files, code, config):
    """Texts, and CPU seconds taken."""
    path, out = CACHE / "voice.toml", CACHE / "out"
    path.write_text(config)
    out.mkdir(parents=True, exist_ok=True)
    for file in files:
        (out / f"{file.stem}.txt").unlink(missing_ok=True)
    command = [common.BIN / "auricle", "--config", path, "transcribe", "-q", "--model", "base:q8_0"]
    run = common.run([*command, "--workers", 2, "--language", code, "-o", out, *files])
    texts = [(out / f"{file.stem}.txt").read_text(encoding="utf-8") for file in files]
    return texts, run.cpu_secs


def scored(references, texts, code):
    normalise = EnglishTextNormalizer() if code == "en" else normaliser(code)
    count = common.character_errors if code in BY_CHARACTER else common.word_errors
    return count(references, texts, normalise)


def with_pauses(sentences, seed, least, most, noise, together):
    """Recordings of so many sentences each, in a random order; made anew each time."""
    import soundfile

    random = np.random.default_rng(seed)
    order = random.permutation(len(sentences))
    files = []
    for first in range(0, len(order), together):
        file = CACHE / "pauses" / f"{seed}_{first}.flac"
        file.parent.mkdir(parents=True, exist_ok=True)
        parts, texts = [np.zeros(int(random.uniform(least, most) * RATE))], []
        for number in order[first : first + together]:
            samples, rate = soundfile.read(sentences[number])
            assert rate == RATE, rate
            parts += [samples, np.zeros(int(random.uniform(least, most) * RATE))]
            texts.append(common.reference(sentences[number]).strip())
        sound = np.concatenate(parts)
        soundfile.write(file, sound + random.normal(0, noise, len(sound)), RATE)
        file.with_suffix(".txt").write_text(" ".join(texts), encoding="utf-8")
        files.append(file)
    return files


if __name__ == "__main__":
    main()
