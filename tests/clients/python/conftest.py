"""A running server, audio, and clients whose every answer is held against the document of the API.

The Rust test `clients` starts servers and says in the environment where they are, and where audio is.
"""

import io
import os
import wave
from pathlib import Path

import httpx2
import openai
import pytest
from document import Document


def variable(name):
    value = os.environ.get(name)
    assert value, f"{name} is not set: this suite is run by `make test`"
    return value


URL = variable("AURICLE_URL")


@pytest.fixture(scope="session")
def document():
    return Document(httpx2.get(f"{URL}/openapi.json", trust_env=False).text)


@pytest.fixture(scope="session")
def judged(document):
    """Makes clients of a server whose answers are all judged."""

    def judge(response):
        response.read()
        document.judge(response)

    def make(url):
        hooks = {"response": [judge]}
        return httpx2.Client(base_url=url, event_hooks=hooks, timeout=120, trust_env=False)

    return make


@pytest.fixture(scope="session")
def plain(judged):
    """A client of the tutorial API."""
    return judged(URL)


@pytest.fixture(scope="session")
def sdk(judged):
    """Makes OpenAI's client of a server. It never tries again: a first failure is a failure."""

    def make(url=URL, key="none is needed"):
        client = judged(url)
        return openai.OpenAI(base_url=f"{url}/v1", api_key=key, http_client=client, max_retries=0)

    return make


@pytest.fixture(scope="session")
def client(sdk):
    return sdk()


@pytest.fixture(scope="session")
def multilingual(sdk):
    return sdk(variable("AURICLE_MULTILINGUAL_URL"))


@pytest.fixture(scope="session")
def speech():
    """One speaker, and a piece of what is said."""
    return Path(variable("AURICLE_SPEECH"))


@pytest.fixture(scope="session")
def call():
    """30 s of a telephone call of two people."""
    return Path(variable("AURICLE_CALL"))


@pytest.fixture(scope="session")
def two_channels(speech, call):
    """The first seconds of the one on the left and of the other on the right."""

    def beginning(path):
        with wave.open(str(path)) as audio:
            assert audio.getparams()[:3] == (1, 2, 16_000)
            return audio.readframes(6 * 16_000)

    left, right = beginning(speech), beginning(call)
    frames = zip(zip(left[::2], left[1::2]), zip(right[::2], right[1::2]))
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((2, 2, 16_000, 0, "NONE", None))
        audio.writeframes(bytes(byte for frame in frames for sample in frame for byte in sample))
    return file.getvalue()


@pytest.fixture(scope="session")
def silence():
    return Path(variable("AURICLE_SILENCE"))


@pytest.fixture(scope="session")
def evaluation():
    """Finds files of the evaluation data, where it is present."""
    root = os.environ.get("AURICLE_EVAL_DATA")

    def find(name):
        path = Path(root or "nowhere") / name
        return path if path.exists() else None

    return find


@pytest.fixture(scope="session")
def said():
    """Whether a text is roughly what the speech says."""
    words = set(variable("AURICLE_SPEECH_TEXT").lower().split())

    def judge(text):
        heard = set(text.lower().split())
        assert len(words & heard) > len(words) / 2, text
        return True

    return judge
