"""Subtitles as two independent parsers read them, and as viewers want them."""

import unicodedata

import pysubs2
import pytest
import webvtt

#: Of the evaluation data, where it is present: a talk, and Japanese.
EVALUATION = ["en/azure_en-US_training.wav", "ja/azure_ja-JP_training.wav"]

MAX_COLUMNS, MAX_LINES = 42, 2
MIN_SECS, MAX_SECS = 1.0, 7.0


def columns(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def seconds(stamp):
    hours, minutes, rest = stamp.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def read_by_webvtt(path):
    read = webvtt.from_srt if path.suffix == ".srt" else webvtt.read
    return [(seconds(c.start), seconds(c.end), c.text.split("\n")) for c in read(str(path))]


def read_by_pysubs2(path):
    cues = pysubs2.load(str(path), keep_html_tags=False)
    return [(c.start / 1000, c.end / 1000, c.plaintext.split("\n")) for c in cues]


def must_be_good(cues):
    ended = 0.0
    for start, end, lines in cues:
        assert ended <= start, f"{lines} begins before the cue before it ends"
        assert MIN_SECS <= round(end - start, 3) <= MAX_SECS, (start, end, lines)
        assert 1 <= len(lines) <= MAX_LINES, lines
        for line in lines:
            assert line.strip() == line != "", lines
            assert columns(line) <= MAX_COLUMNS, line
        ended = end


def must_parse_alike(text, kind, path):
    """The cues; fails where two parsers read them differently."""
    path = path / f"subtitles.{kind}"
    path.write_text(text, encoding="utf-8")
    cues = read_by_webvtt(path)
    other = read_by_pysubs2(path)
    times = [(round(start, 2), round(end, 2)) for start, end, _ in cues]
    assert times == [(round(start, 2), round(end, 2)) for start, end, _ in other]
    assert [" ".join(c[2]).split() for c in cues] == [" ".join(c[2]).split() for c in other]
    return cues


def subtitles(client, path, kind, **options):
    return client.audio.transcriptions.create(
        file=path, model="whisper-1", response_format=kind, **options
    )


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_a_speech_has_good_subtitles_with_all_its_words(client, speech, said, kind, tmp_path):
    cues = must_parse_alike(subtitles(client, speech, kind), kind, tmp_path)
    must_be_good(cues)
    assert said(" ".join(" ".join(lines) for _, _, lines in cues))


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_a_call_has_good_subtitles_that_name_who_speaks(client, call, kind, tmp_path):
    text = subtitles(client, call, kind, extra_body={"diarize": "true"})
    must_be_good(must_parse_alike(text, kind, tmp_path))
    for speaker in "AB":
        assert (f"\n{speaker}: " if kind == "srt" else f"<v {speaker}>") in text


@pytest.mark.parametrize("name", EVALUATION)
def test_real_audio_has_good_subtitles(multilingual, evaluation, name, tmp_path):
    path = evaluation(name)
    if path is None:
        pytest.skip(f"no {name} in AURICLE_EVAL_DATA")
    cues = must_parse_alike(subtitles(multilingual, path, "srt"), "srt", tmp_path)
    assert len(cues) > 1
    must_be_good(cues)


def test_the_width_that_is_asked_for_is_kept(client, speech, tmp_path):
    options = {"max_line_width": "20", "max_line_count": "1"}
    text = subtitles(client, speech, "srt", extra_body=options)
    for _, _, lines in must_parse_alike(text, "srt", tmp_path):
        assert len(lines) == 1
        assert columns(lines[0]) <= 20
