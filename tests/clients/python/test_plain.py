"""The tutorial API and the health checks, each answer held against the document."""

import pytest


def sent(plain, path, route="/transcribe", **fields):
    files = {"file": (path.name, path.read_bytes(), "audio/wav")}
    return plain.post(route, files=files, data=fields)


def test_a_transcript_is_as_documented(plain, speech, said):
    answer = sent(plain, speech).json()
    assert said(answer["text"])
    assert "subtitles" not in answer


def test_words_speakers_and_subtitles_are_as_documented(plain, call):
    fields = {"word_timestamps": "true", "diarize": "true", "subtitles": "true"}
    answer = sent(plain, call, **fields).json()
    assert answer["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
    assert answer["segments"][0]["words"][0]["speaker"] == "SPEAKER_00"
    assert "SPEAKER_01: " in answer["subtitles"]["srt"]
    assert "<v SPEAKER_01>" in answer["subtitles"]["vtt"]


def test_subtitles_alone_bring_no_words(plain, speech):
    answer = sent(plain, speech, subtitles="true").json()
    assert answer["subtitles"]["vtt"].startswith("WEBVTT")
    assert "words" not in answer["segments"][0]


def test_speakers_of_verbose_json_are_as_documented(plain, call):
    fields = {
        "model": "whisper-1",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
        "diarize": "true",
    }
    answer = sent(plain, call, "/v1/audio/transcriptions", **fields).json()
    assert answer["segments"][0]["speaker"] == "A"
    assert answer["words"][0]["speaker"] == "A"


def test_channels_are_as_documented(plain, two_channels):
    def channels(route="/transcribe", **fields):
        # Before the file: it says how that is decoded.
        texts = {"multichannel": "true", **fields}
        parts = [(name, (None, value.encode())) for name, value in texts.items()]
        audio = ("file", ("two.wav", two_channels, "audio/wav"))
        return plain.post(route, files=[*parts, audio])

    answer = channels().json()
    assert [channel["channel"] for channel in answer["channels"]] == [0, 1]
    assert {segment["channel"] for segment in answer["segments"]} <= {0, 1}
    model = {"model": "whisper-1"}
    for response_format in ["json", "verbose_json"]:
        answer = channels("/v1/audio/transcriptions", response_format=response_format, **model)
        assert answer.status_code == 200, answer.text
    streamed = channels("/v1/audio/transcriptions", stream="true", **model)
    assert '"channel":' in streamed.text


def test_silence_is_an_empty_transcript(plain, silence):
    assert sent(plain, silence).json()["text"] == ""


def test_languages_are_as_documented(plain, speech):
    answer = sent(plain, speech, "/detect-language").json()
    assert answer["detected_language"] == "en"


@pytest.mark.parametrize("path", ["/health", "/readyz", "/livez"])
def test_health_is_as_documented(plain, path):
    assert plain.get(path).json()["status"] == "ok"
    assert plain.post(path).status_code == 405


@pytest.mark.parametrize("path", ["/transcribe", "/detect-language", "/v1/audio/transcriptions"])
def test_refusals_are_as_documented(plain, path):
    assert plain.post(path).status_code == 400
    assert plain.get(path).status_code == 405
    junk = {"file": ("a.wav", b"no audio" * 99, "audio/wav")}
    status = 400 if path.startswith("/v1") else 422
    assert plain.post(path, files=junk, data={"model": "whisper-1"}).status_code == status
    picture = {"file": ("a.png", b"no audio", "image/png")}
    assert plain.post(path, files=picture, data={"model": "whisper-1"}).status_code == 400


def test_a_plain_request_for_the_websocket_is_told_so(plain):
    assert plain.get("/ws/transcribe").status_code == 426
