"""A chunker: cuts a clip into the pieces that the model will see.

Setting `secs`: length of a piece in seconds, 1 to 30; default 20.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.chunker import ChunkError_InvalidConfiguration
from wit_world.imports import configuration
from wit_world.imports.auricle_audio_types import Span
from wit_world.imports.clips import Clip

SAMPLES_PER_SEC = 16_000


class Chunker(exports.Chunker):
    def split(self, clip: Clip, max_samples: int) -> list[Span]:
        step = min(secs() * SAMPLES_PER_SEC, max_samples)
        length = clip.length()
        return [Span(start, min(start + step, length)) for start in range(0, length, step)]


def secs() -> int:
    text = configuration.get("secs") or "20"
    if text.isdecimal() and 1 <= int(text) <= 30:
        return int(text)
    raise Err(ChunkError_InvalidConfiguration(f"secs is '{text}': use 1 to 30"))
