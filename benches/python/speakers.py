"""Who said what: `auricle transcribe --diarize` on conversations whose words have known speakers.

And what diarization costs on long recordings: 15 minutes, an hour and four hours, made by repeating
a conversation, must take time in proportion and bounded memory.
"""

import collections
import json
import math
import re
import sys

import common
import jiwer
import numpy
import soundfile
from common import BIN, CACHE, DATA
from scipy.optimize import linear_sum_assignment
from whisper_normalizer.english import EnglishTextNormalizer

RATE = 16000
LENGTHS_SECS = {"15 min": 900, "1 h": 3600, "4 h": 4 * 3600}


def main():
    files = [f for f in common.audio_files("derived/conv*") if f.with_suffix(".tsv").exists()]
    if not files:
        sys.exit(f"there are no conversations in {DATA}")
    rows = [conversation(file) for file in files]
    head = ["file", "minutes", "speakers", "word error rate", "words of the wrong speaker"]
    note = (
        "`auricle transcribe --diarize --word-timestamps`, model `base` q8_0, language detected. Word "
        "error rate with Whisper's English normaliser. Of the words that align with the truth, right "
        "or misheard, those whose speaker is another (labels paired with speakers to the best)."
    )
    common.write_section("speakers", "words", "speakers", f"{note}\n\n{common.table(head, rows)}")
    longest = max(files, key=lambda f: soundfile.info(f).duration)
    rows = [long_recording(longest, name, secs) for name, secs in LENGTHS_SECS.items()]
    head = ["length", "seconds taken", "of it CPU", "real-time factor", "peak MB", "of it samples", "speakers"]
    note = (
        f"`{longest.name}` again and again, as one WAV file; `auricle diarize`, two threads, everything "
        "from start to exit. Samples: 4 bytes each, held to the end. One run each."
    )
    common.write_section("speakers", "long", "speakers", f"{note}\n\n{common.table(head, rows)}")


def conversation(file):
    command = [BIN / "auricle", "transcribe", "-q", "--diarize", "--word-timestamps"]
    answer = json.loads(common.run([*command, "--format", "verbose_json", file]).stdout)
    lines = [line.split("\t") for line in file.with_suffix(".tsv").read_text().splitlines()]
    truth = [(word, who) for _, _, who, text in lines for word in spelled(text)]
    heard = [(w, word.get("speaker")) for word in answer["words"] for w in spelled(word["word"])]
    wrong, aligned = wrong_speakers(truth, heard)
    found = {speaker for _, speaker in heard}
    normalise = EnglishTextNormalizer()
    spoken = " ".join(text for *_, text in lines)
    errors = jiwer.process_words([normalise(spoken)], [normalise(answer["text"])])
    return [
        file.name,
        f"{answer['duration'] / 60:.1f}",
        f"{len(found)}/{len({who for _, who in truth})}",
        common.score(errors),
        common.Score(wrong, aligned),
    ]


def spelled(text):
    return re.sub(r"[^\w' ]", " ", text.lower()).split()


def wrong_speakers(truth, heard):
    words = jiwer.process_words(
        [" ".join(word for word, _ in truth)], [" ".join(word for word, _ in heard)]
    )
    pairs = collections.Counter()
    for chunk in words.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            for n in range(chunk.ref_end_idx - chunk.ref_start_idx):
                pairs[truth[chunk.ref_start_idx + n][1], heard[chunk.hyp_start_idx + n][1]] += 1
    speakers = sorted({who for who, _ in pairs})
    labels = sorted({str(label) for _, label in pairs})
    counts = numpy.zeros((len(speakers), len(labels)))
    for (who, label), count in pairs.items():
        counts[speakers.index(who), labels.index(str(label))] = count
    paired = linear_sum_assignment(-counts)
    aligned = sum(pairs.values())
    return aligned - int(counts[paired].sum()), aligned


def long_recording(file, name, secs):
    samples, rate = soundfile.read(file, dtype="int16")
    assert rate == RATE, rate
    times = math.ceil(secs * RATE / len(samples))
    path = CACHE / "repeated.wav"
    with soundfile.SoundFile(path, "w", RATE, 1) as wav:
        left = secs * RATE
        for _ in range(times):
            wav.write(samples[: min(left, len(samples))])
            left -= min(left, len(samples))
    run = common.run([BIN / "auricle", "diarize", path])
    path.unlink()
    speakers = {line.split()[7] for line in run.stdout.splitlines()}
    return [
        name,
        f"{run.wall_secs:.0f}",
        f"{run.cpu_secs:.0f}",
        f"{run.wall_secs / secs:.3f}",
        f"{run.peak_mb:.0f}",
        f"{4 * secs * RATE / 1e6:.0f}",
        len(speakers),
    ]


if __name__ == "__main__":
    main()
