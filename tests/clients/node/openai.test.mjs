// OpenAI's own client library for JavaScript against the server: every format, events, translations,
// errors. The Rust test `clients` starts servers and says in the environment where they are.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

const { AURICLE_NODE_MODULES, AURICLE_URL, AURICLE_KEYED_URL, AURICLE_KEY, AURICLE_SPEECH } = process.env;
const { AURICLE_CALL, AURICLE_SPEECH_TEXT } = process.env;
const OpenAI = createRequire(`${AURICLE_NODE_MODULES}/`)("openai");

const connect = (url, apiKey = "none is needed") =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const client = connect(AURICLE_URL);

const transcribed = (options = {}, of = client, path = AURICLE_SPEECH) =>
  of.audio.transcriptions.create({ file: createReadStream(path), model: "whisper-1", ...options });

/** Fails unless a text is roughly what the speech says. */
function said(text) {
  const heard = new Set(text.toLowerCase().split(/\s+/));
  const words = new Set(AURICLE_SPEECH_TEXT.toLowerCase().split(/\s+/));
  const common = [...words].filter((word) => heard.has(word));
  assert.ok(common.length > words.size / 2, text);
}

test("json is the text and its usage", async () => {
  const answer = await transcribed();
  said(answer.text);
  assert.equal(answer.usage.type, "duration");
});

test("text and subtitles are strings", async () => {
  said(await transcribed({ response_format: "text" }));
  assert.match(await transcribed({ response_format: "srt" }), /^1\n00:00:0/);
  assert.match(await transcribed({ response_format: "vtt" }), /^WEBVTT\n\n/);
});

test("verbose_json has segments and words", async () => {
  const answer = await transcribed({
    response_format: "verbose_json",
    timestamp_granularities: ["word", "segment"],
  });
  assert.equal(answer.words.map((word) => word.word).join(" "), answer.text);
  assert.ok(answer.segments.length > 0 && answer.duration > 0);
});

test("diarized_json tells two people apart", async () => {
  const options = {
    model: "gpt-4o-transcribe-diarize",
    response_format: "diarized_json",
    chunking_strategy: "auto",
  };
  const answer = await transcribed(options, client, AURICLE_CALL);
  assert.deepEqual(new Set(answer.segments.map((segment) => segment.speaker)), new Set(["A", "B"]));
});

test("a stream is deltas and the whole text", async () => {
  let [text, done] = ["", null];
  for await (const event of await transcribed({ stream: true })) {
    assert.equal(done, null, "nothing follows the end");
    if (event.type === "transcript.text.delta") text += event.delta;
    if (event.type === "transcript.text.done") done = event;
  }
  assert.equal(done.text, text);
  said(text);
});

test("a translation is text", async () => {
  const file = createReadStream(AURICLE_SPEECH);
  const answer = await client.audio.translations.create({ file, model: "whisper-1" });
  said(answer.text);
});

test("models are listed and found", async () => {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  assert.ok(listed.includes("whisper-1"));
  assert.equal((await client.models.retrieve("whisper-1")).object, "model");
});

test("tokens are told with their probabilities", async () => {
  const answer = await transcribed({ include: ["logprobs"] });
  const bytes = answer.logprobs.flatMap((token) => token.bytes);
  assert.equal(Buffer.from(bytes).toString(), answer.text);
});

test("a wrong value raises BadRequestError and names the field", async () => {
  await assert.rejects(transcribed({ response_format: "xml" }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.status, error.param], [400, "response_format"]);
    return Boolean(error.requestID);
  });
});

test("an unknown model raises NotFoundError", async () => {
  await assert.rejects(transcribed({ model: "gpt-9" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    return error.code === "model_not_found";
  });
});

test("a wrong key raises AuthenticationError and a right one does not", async () => {
  const wrong = transcribed({}, connect(AURICLE_KEYED_URL, "wrong"));
  await assert.rejects(wrong, OpenAI.AuthenticationError);
  said((await transcribed({}, connect(AURICLE_KEYED_URL, AURICLE_KEY))).text);
});
