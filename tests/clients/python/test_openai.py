"""OpenAI's own client library against the server: every format, events, translations, errors."""

import asyncio
import base64
import os

import openai
import pytest
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
    TranslationVerbose,
)


def strictly(kind, value):
    """The library builds its types without looking: here pydantic looks at every field."""
    assert isinstance(value, kind), type(value)
    return kind.model_validate(value.to_dict(), strict=True)


def transcribed(client, path, **options):
    options.setdefault("model", "whisper-1")
    return client.audio.transcriptions.create(file=path, **options)


def test_json_is_a_transcription_with_its_usage(client, speech, said):
    answer = strictly(Transcription, transcribed(client, speech))
    assert said(answer.text)
    assert answer.usage.type == "duration"
    assert answer.usage.seconds > 0


def test_models_that_answer_tokens_bill_tokens(client, speech):
    answer = strictly(Transcription, transcribed(client, speech, model="gpt-4o-transcribe"))
    assert answer.usage.type == "tokens"
    assert answer.usage.input_tokens > 0


def test_tokens_are_told_with_their_probabilities(client, speech):
    answer = strictly(Transcription, transcribed(client, speech, include=["logprobs"]))
    told = b"".join(bytes(int(byte) for byte in token.bytes) for token in answer.logprobs)
    assert told.decode() == answer.text


def test_a_stream_tells_probabilities_too(client, speech):
    events = list(transcribed(client, speech, include=["logprobs"], stream=True))
    assert events[0].logprobs
    assert events[-1].logprobs


def test_the_language_is_one_of_the_candidates(multilingual, speech):
    answer = strictly(Transcription, transcribed(multilingual, speech, languages=["de", "en"]))
    assert [language.code for language in answer.languages] == ["en"]


def test_a_stream_tells_the_language_too(multilingual, speech):
    *_, done = transcribed(multilingual, speech, languages=["de", "en"], stream=True)
    assert [language.code for language in done.languages] == ["en"]


def test_keywords_and_chunking_are_taken(client, speech, said):
    chunking = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 300}
    answer = transcribed(client, speech, keywords=["Americans"], chunking_strategy=chunking)
    assert said(answer.text)


def test_models_are_listed_and_found(client):
    listed = [model.id for model in client.models.list()]
    assert {"tiny.en", "whisper-1"} <= set(listed)
    assert client.models.retrieve("whisper-1").id == "whisper-1"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-9")
    assert raised.value.code == "model_not_found"


def test_text_is_a_string(client, speech, said):
    text = transcribed(client, speech, response_format="text")
    assert isinstance(text, str)
    assert said(text)
    assert text.endswith("\n")


def test_verbose_json_has_segments_with_every_field(client, speech, said):
    answer = strictly(TranscriptionVerbose, transcribed(client, speech, response_format="verbose_json"))
    assert said(answer.text)
    assert answer.language == "english"
    assert answer.words is None
    ends = 0.0
    for segment in answer.segments:
        assert ends <= segment.start < segment.end <= answer.duration + 0.05
        assert segment.tokens
        ends = segment.end


def test_words_have_times_when_asked_for(client, speech):
    answer = strictly(
        TranscriptionVerbose,
        transcribed(
            client, speech, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        ),
    )
    assert [word.word for word in answer.words] == answer.text.split()
    starts = [word.start for word in answer.words]
    assert starts == sorted(starts)
    assert answer.segments


def test_subtitles_are_strings(client, speech):
    assert transcribed(client, speech, response_format="srt").startswith("1\n00:00:0")
    assert transcribed(client, speech, response_format="vtt").startswith("WEBVTT\n\n")


def test_diarized_json_tells_two_people_apart(client, call):
    answer = transcribed(
        client,
        call,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
    )
    answer = strictly(TranscriptionDiarized, answer)
    assert {segment.speaker for segment in answer.segments} == {"A", "B"}


def data_url(path):
    return "data:audio/wav;base64," + base64.b64encode(path.read_bytes()).decode()


def test_a_known_speaker_has_their_name(client, call, voice_of_a):
    answer = transcribed(
        client,
        call,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
        known_speaker_names=["Diane"],
        known_speaker_references=[data_url(voice_of_a)],
    )
    assert "Diane" in {segment.speaker for segment in answer.segments}


@pytest.fixture(scope="session")
def voice_of_a(call, tmp_path_factory):
    """3.5 s of the call in which one of the two speaks alone."""
    import wave

    path = tmp_path_factory.mktemp("voices") / "a.wav"
    with wave.open(str(call)) as whole, wave.open(str(path), "wb") as part:
        part.setparams(whole.getparams())
        whole.setpos(int(6.7 * whole.getframerate()))
        part.writeframes(whole.readframes(int(3.2 * whole.getframerate())))
    return path


def test_a_stream_is_deltas_and_the_whole_text(client, speech, said):
    deltas, done = [], None
    for event in transcribed(client, speech, model="gpt-4o-transcribe", stream=True):
        assert done is None, "nothing follows the end"
        if event.type == "transcript.text.delta":
            deltas.append(strictly(TranscriptionTextDeltaEvent, event).delta)
        else:
            done = strictly(TranscriptionTextDoneEvent, event)
    assert "".join(deltas) == done.text
    assert said(done.text)
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens


def test_a_diarized_stream_has_segments_with_speakers(client, call):
    kinds, speakers = [], set()
    events = transcribed(
        client,
        call,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
        stream=True,
    )
    for event in events:
        kinds.append(event.type)
        if event.type == "transcript.text.segment":
            speakers.add(event.speaker)
    assert speakers == {"A", "B"}
    assert kinds[-1] == "transcript.text.done"


def test_the_asynchronous_client_is_answered_too(speech, said):
    async def ask():
        url = os.environ["AURICLE_URL"]
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            return await client.audio.transcriptions.create(file=speech, model="whisper-1")

    assert said(asyncio.run(ask()).text)


def test_a_translation_is_english_text(multilingual, speech, evaluation, said):
    german = evaluation("de/azure_de-DE_training.wav")
    answer = multilingual.audio.translations.create(file=german or speech, model="whisper-1")
    assert "you" in answer.text.lower() if german else said(answer.text)


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_a_translation_has_formats_too(client, speech, kind):
    answer = client.audio.translations.create(file=speech, model="whisper-1", response_format=kind)
    assert isinstance(answer, str)
    assert answer.strip()


def test_a_verbose_translation_has_segments(client, speech):
    answer = client.audio.translations.create(
        file=speech, model="whisper-1", response_format="verbose_json"
    )
    answer = strictly(TranslationVerbose, answer)
    assert answer.language == "english"
    assert answer.segments


def test_the_libraries_see_the_requests_id_and_time(client, speech):
    raw = client.audio.transcriptions.with_raw_response.create(file=speech, model="whisper-1")
    assert raw.parse()._request_id == raw.headers["x-request-id"]
    assert int(raw.headers["openai-processing-ms"]) > 0


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("response_format", {"response_format": "xml"}),
        ("temperature", {"temperature": 7}),
        ("language", {"language": "klingon"}),
        ("timestamp_granularities", {"timestamp_granularities": ["char"]}),
        ("stream", {"stream": True, "response_format": "srt"}),
    ],
)
def test_a_wrong_value_raises_bad_request_and_names_the_field(client, speech, field, options):
    with pytest.raises(openai.BadRequestError) as raised:
        transcribed(client, speech, **options)
    error = raised.value
    assert (error.status_code, error.param, error.type) == (400, field, "invalid_request_error")
    assert error.request_id


def test_a_file_that_is_no_audio_raises_bad_request(client):
    with pytest.raises(openai.BadRequestError) as raised:
        transcribed(client, ("a.wav", b"no audio" * 99))
    assert raised.value.param == "file"


def test_an_unknown_model_raises_not_found(client, speech):
    with pytest.raises(openai.NotFoundError) as raised:
        transcribed(client, speech, model="gpt-9")
    assert raised.value.code == "model_not_found"


def test_a_wrong_key_raises_authentication_error_and_a_right_one_does_not(sdk, speech, said):
    url, key = os.environ["AURICLE_KEYED_URL"], os.environ["AURICLE_KEY"]
    with pytest.raises(openai.AuthenticationError) as raised:
        transcribed(sdk(url, "wrong"), speech)
    assert raised.value.code == "invalid_api_key"
    assert said(transcribed(sdk(url, key), speech).text)
