"""Seconds for a file of 7 minutes: auricle against faster-whisper and whisper.cpp.

Every round runs all engines one after the other, each in a process of its own, with 2 threads. Loading
the model is not counted on any side: auricle's seconds are those of its log line.
"""

import json
import os
import re
import sys
from dataclasses import dataclass, field

import common
from common import BIN, CACHE, LONG
from whisper_normalizer.english import EnglishTextNormalizer

ROUNDS = int(os.environ.get("ROUNDS", "5"))
THREADS = 2
FILE = os.environ.get("BENCH_FILE", str(LONG))
BASE = "faster-whisper int8, batched (8)"


@dataclass
class Engine:
    """What was measured of one engine, a value for each round."""

    name: str
    measure: object
    secs: list = field(default_factory=list)
    cpu_secs: list = field(default_factory=list)
    peak_mb: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    text: str = ""

    def add_round(self):
        run, secs, cpu_secs, self.text = self.measure()
        self.secs.append(secs)
        self.cpu_secs.append(cpu_secs)
        self.peak_mb.append(run.peak_mb)
        self.foreign.append(run.foreign_secs / run.wall_secs)
        print(f"{self.name}: {secs:.2f} s, {cpu_secs:.2f} CPU s, others {self.foreign[-1]:.2f} cores",
              file=sys.stderr, flush=True)


def main():
    engines = [
        Engine("auricle q8_0 (default)", lambda: auricle("q8_0")),
        Engine("auricle f16", lambda: auricle("f16")),
        Engine(BASE, lambda: peer("faster-whisper-batched", common.ct2_model())),
        Engine("whisper.cpp f16, default", lambda: peer("whisper.cpp", common.ggml_model("f16"))),
    ]
    for _ in range(ROUNDS):
        for engine in engines:
            engine.add_round()
    common.write_section("throughput", "throughput", "throughput", report(engines))


def auricle(quantization):
    directory = CACHE / "out"
    command = [BIN / "auricle", "transcribe", "-q", "--log", "info", "--language", "en"]
    command += ["--workers", THREADS, "--model", f"base:{quantization}", "-o", directory, FILE]
    run = common.run(command)
    secs = float(re.search(r"transcribed.* secs=([0-9.]+)", run.stderr).group(1))
    text = (directory / f"{common.pathlib.Path(FILE).stem}.txt").read_text(encoding="utf-8")
    return run, secs, run.cpu_secs, text


def peer(engine, model):
    script = common.pathlib.Path(__file__).with_name("peer.py")
    run = common.run([sys.executable, script, engine, model, FILE, THREADS])
    result = json.loads(run.stdout.splitlines()[-1])
    return run, result["secs"], result["cpu_secs"], result["text"]


def report(engines):
    normalise = EnglishTextNormalizer()
    reference = common.reference(common.pathlib.Path(FILE))
    audio_secs = duration_secs(FILE)
    base = next(engine for engine in engines if engine.name == BASE)
    rows = []
    for engine in engines:
        secs = common.median(engine.secs)
        rows.append([
            engine.name,
            f"{secs:.2f}",
            f"{min(engine.secs):.2f}–{max(engine.secs):.2f}",
            f"{common.median(engine.cpu_secs):.2f}",
            f"{audio_secs / secs:.1f}",
            f"{common.median(base.secs) / secs:.2f}",
            common.word_errors([reference], [engine.text], normalise),
            f"{common.median(engine.peak_mb):.0f}",
            f"{max(engine.foreign):.2f}",
        ])
    head = [
        "Engine", "seconds", "range", "CPU seconds", "× real time", f"× {BASE}", "WER", "peak MB",
        "other load",
    ]
    note = (
        f"`{common.pathlib.Path(FILE).name}` ({audio_secs:.0f} s of English speech), model `base`, greedy, "
        f"{THREADS} threads. Median of {ROUNDS} rounds, the engines in turn. CPU seconds: auricle's "
        "include loading the model and compiling nothing (its components are cached). Peak MB: of the "
        "process, loading included. Other load: the most that everything else on the machine used, "
        "in cores."
    )
    return f"{note}\n\n{common.table(head, rows)}"


def duration_secs(file):
    import av

    with av.open(file) as container:
        return container.duration / av.time_base


if __name__ == "__main__":
    main()
