"""What the generator of requests is told beside the document (SCHEMATHESIS_HOOKS)."""

import io
import wave

import schemathesis
from hypothesis import strategies

#: Fields that are true or false. A form's values are texts, and 0 and 1 are taken as well.
FLAGS = ("diarize", "stream", "subtitles", "word_timestamps")


def tone(secs):
    """A WAV file of a square wave of 200 Hz, 16 kHz, mono."""
    levels = (level.to_bytes(2, "little", signed=True) for level in (3000, -3000))
    high, low = (level * 40 for level in levels)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes((high + low) * int(200 * secs))
    return file.getvalue()


# Mostly audio that decodes, so that requests come as far as the answer.
FILES = [tone(0.4), tone(1.2), tone(0.4)[:-1000], b"", b"no audio at all"]

schemathesis.openapi.format("binary", strategies.sampled_from(FILES))


@schemathesis.hook
def filter_body(context, body):
    if not isinstance(body, dict):
        return True
    return not any(str(body.get(flag)) in ("0", "1") for flag in FLAGS)


@schemathesis.hook
def map_body(context, body):
    # Else nearly every request is refused for a model or a language that nobody has heard of.
    if isinstance(body, dict):
        for field, known in (("model", "tiny.en"), ("language", "en")):
            if isinstance(body.get(field), str) and 0 < len(body[field]) <= 200:
                body[field] = known
    return body
