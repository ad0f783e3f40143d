"""What the server costs over whisper.cpp: `auricle transcribe` against `bare-whisper`.

Both decode the same file and recognise the same spans with the same weights and parameters on 2
threads, in turn, once with each way to cut. `bare-whisper` never computes voice activity, and a server
without ONNX Runtime cannot.
"""

import hashlib
import os
import re
import sys

import common
from common import BIN, CACHE, LONG
from whisper_normalizer.english import EnglishTextNormalizer

ROUNDS = int(os.environ.get("ROUNDS", "7"))
THREADS = 2
FILE = common.pathlib.Path(os.environ.get("BENCH_FILE", LONG))
BY_ENERGY = '[tenants.default.chunker]\nconfiguration = { "voice-activity" = "false" }\n'
NO_ONNX = '[models]\nonnxruntime = "/nowhere/libonnxruntime.so"\n'
CHUNKERS = {
    "voice activity": "",
    "energy, without ONNX Runtime": NO_ONNX,
    "energy, with voice activity for the guards": BY_ENERGY,
}


def main():
    CACHE.mkdir(parents=True, exist_ok=True)
    parts = [measure(chunker, toml) for chunker, toml in CHUNKERS.items()]
    common.write_section("overhead", "overhead", "overhead", "\n\n".join(parts))


def measure(chunker, toml):
    config, spans, out = CACHE / "chunker.toml", CACHE / "spans", CACHE / "out"
    config.write_text(toml)
    ours = [BIN / "auricle", "--config", config, "--log", "info,auricle_pipeline=debug"]
    ours += ["transcribe", "-q", "--language", "en", "--workers", THREADS]
    ours += ["--model", "base:q8_0", "-o", out, FILE]
    cuts = re.search(r"spans=\[(.*?)\]", common.run(ours).stderr).group(1)
    pairs = re.findall(r"start: (\d+), end: (\d+)", cuts)
    spans.write_text("".join(f"{start} {end}\n" for start, end in pairs))
    model = common.ggml_model("q8_0")
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    bare = [BIN / "bare-whisper", model, sha256, FILE, spans, THREADS]
    runs = {"auricle transcribe": [], "bare-whisper": []}
    for number in range(ROUNDS):
        # A B, B A, A B: neither side always runs on the other's warm caches.
        commands = [("auricle transcribe", ours), ("bare-whisper", bare)]
        for name, command in commands if number % 2 == 0 else commands[::-1]:
            run = common.run(command)
            run.inner_secs = float(re.search(r"secs=([0-9.]+)\s*$", run.stderr, re.M).group(1))
            runs[name].append(run)
            print(f"{name}: {run.wall_secs:.2f} s ({run.inner_secs:.2f} without loading), "
                  f"{run.cpu_secs:.2f} CPU s", file=sys.stderr, flush=True)
    text = (out / f"{FILE.stem}.txt").read_text(encoding="utf-8")
    texts = {"auricle transcribe": text, "bare-whisper": runs["bare-whisper"][-1].stdout}
    return f"**Cut by {chunker}.** {report(runs, texts, spans)}"


MEASURES = {
    "seconds, whole process": lambda run: run.wall_secs,
    "seconds without loading": lambda run: run.inner_secs,
    "CPU seconds, whole process": lambda run: run.cpu_secs,
    "idle core seconds": lambda run: run.idle_secs,
}


def report(runs, texts, spans):
    normalise = EnglishTextNormalizer()
    reference = common.reference(FILE)
    rows = []
    for measure, value in MEASURES.items():
        ours, bare = ([value(run) for run in runs[name]] for name in runs)
        ratios = [a / b for a, b in zip(ours, bare, strict=True)]
        rows.append([
            measure,
            f"{common.median(ours):.2f}",
            f"{common.median(bare):.2f}",
            f"**{common.median(ours) / common.median(bare):.3f}**",
            f"{min(ratios):.3f}–{max(ratios):.3f}",
        ])
    scores = {n: common.word_errors([reference], [t], normalise) for n, t in texts.items()}
    rows.append(["WER", *scores.values(), "", ""])
    foreign = max(run.foreign_secs / run.wall_secs for group in runs.values() for run in group)
    head = ["", "auricle transcribe", "bare-whisper", "ratio of medians", "ratios of the rounds"]
    note = (
        f"`{FILE.name}`, {len(spans.read_text().splitlines())} spans, `base` q8_0, greedy, {THREADS} "
        f"threads. Median of {ROUNDS} rounds in turn. Everything else on the machine used at most "
        f"{foreign:.2f} cores in any run."
    )
    return f"{note}\n\n{common.table(head, rows)}"


if __name__ == "__main__":
    main()
