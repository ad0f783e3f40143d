"""Example of a chunker in Python: leaves out long silences and cuts in pauses.

What is quieter than a part of the clip's loud places is silence. Speech between two silences is a piece;
what is longer than a piece may be is cut at the quietest place in the last third of it.

Settings:
- `max-secs`: longest piece, 1 to 30; default 30.
- `silence`: the part of the loudness below which there is silence, 0.001 to 0.5; default 0.05.
- `min-silence-secs`: shorter silence ends no piece, 0.1 to 30; default 2.

It is `src/app.py` of a project that `auricle component new --lang python --role chunker` writes.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.chunker import ChunkError_InvalidConfiguration
from wit_world.imports import configuration, log
from wit_world.imports.auricle_audio_types import Span
from wit_world.imports.clips import Clip

# Samples of a frame whose loudness is asked for (10 ms), and frames of a second.
FRAME = 160
FRAMES_PER_SEC = 100
# Frames that one call answers with at most.
FRAMES_PER_CALL = 480_000
# Frames kept before and after speech: consonants are quiet.
PAD = 20


class Chunker(exports.Chunker):
    def split(self, clip: Clip, max_samples: int) -> list[Span]:
        limit = min(int(setting("max-secs", 30, 1, 30) * FRAMES_PER_SEC), max_samples // FRAME)
        levels = loudness(clip)
        pieces = []
        for start, end in speech(levels):
            while end - start > limit:
                latest = start + limit
                cut = min(range(latest - limit // 3, latest), key=levels.__getitem__)
                pieces.append((start, cut))
                start = cut
            pieces.append((start, end))
        log.write(log.Level.DEBUG, f"{len(pieces)} pieces of {len(levels)} frames")
        length = clip.length()
        return [Span(start * FRAME, min(end * FRAME, length)) for start, end in pieces]


def loudness(clip: Clip) -> list[float]:
    """How loud each frame of the clip is."""
    levels, length, step = [], clip.length(), FRAMES_PER_CALL * FRAME
    for start in range(0, length, step):
        levels += clip.levels(Span(start, min(start + step, length)), FRAME)
    return levels


def speech(levels: list[float]) -> list[tuple[int, int]]:
    """Where it is loud, as ranges of frames in order, apart by a silence that ends a piece."""
    if not levels:
        return []
    # One frame in twenty is louder than this: a click does not count.
    loud = sorted(levels)[len(levels) * 19 // 20]
    # Digital silence is silent however little there is beside it.
    silent = max(loud * setting("silence", 0.05, 0.001, 0.5), 1e-5)
    apart = int(setting("min-silence-secs", 2, 0.1, 30) * FRAMES_PER_SEC)
    ranges: list[tuple[int, int]] = []
    for frame, level in enumerate(levels):
        if level < silent:
            continue
        start, end = max(frame - PAD, 0), min(frame + 1 + PAD, len(levels))
        if ranges and start - ranges[-1][1] < apart:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges


def setting(name: str, default: float, least: float, most: float) -> float:
    text = configuration.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if least <= value <= most:
        return value
    raise Err(ChunkError_InvalidConfiguration(f"{name} is '{text}': use {least} to {most}"))
