"""A speaker-assigner: says who speaks, and hides words.

Setting `hide`: words that become "***", with commas between them; default none.
"""

import re

from wit_world import exports
from wit_world.imports import configuration
from wit_world.imports.types import Segment, Turn


class SpeakerAssigner(exports.SpeakerAssigner):
    def assign(self, segments: list[Segment], turns: list[Turn]) -> list[Segment]:
        hidden = hidden_words()
        for segment in segments:
            segment.speaker = longest_heard(segment, turns)
            segment.text = hide(segment.text, hidden)
            for word in segment.words:
                word.speaker = segment.speaker
                word.word = hide(word.word, hidden)
        return segments


def hidden_words() -> set[str]:
    words = (configuration.get("hide") or "").split(",")
    return {word.strip().lower() for word in words if word.strip()}


def hide(text: str, hidden: set[str]) -> str:
    """The text with the words in it hidden."""
    return re.sub(r"\w+", lambda word: "***" if word[0].lower() in hidden else word[0], text)


def longest_heard(segment: Segment, turns: list[Turn]) -> str | None:
    """Who speaks for longest while the segment lasts; nobody when there are no turns."""
    secs: dict[str, float] = {}
    for turn in turns:
        together = min(turn.end, segment.end) - max(turn.start, segment.start)
        if together > 0:
            secs[turn.speaker] = secs.get(turn.speaker, 0.0) + together
    return max(secs, key=secs.__getitem__) if secs else None
