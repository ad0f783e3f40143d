// What the page at / makes of a transcript: texts, times and files. How it looks and whether it can be
// used is seen in a browser only.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const source = (name) => readFileSync(new URL(`../../../web/pages/${name}`, import.meta.url), "utf8");
const page = vm.createContext({ Blob });
vm.runInContext(source("show.js"), page);

const transcript = {
  text: "Hello. Oh, hello.",
  language: "en",
  duration: 1.25,
  audio_duration: 3723.5,
  segments: [
    { start: 0, end: 1, text: "Hello.", speaker: "SPEAKER_00" },
    { start: 1, end: 2, text: "Oh, hello.", speaker: null },
  ],
  speakers: ["SPEAKER_00"],
  subtitles: { srt: "1\n…", vtt: "WEBVTT\n…" },
};

test("times are read as clocks show them", () => {
  const shown = [0, 9.99, 61, 3599, 3600, 36_061, -1].map(page.clock);
  assert.deepEqual(shown, ["0:00", "0:09", "1:01", "59:59", "1:00:00", "10:01:01", "0:00"]);
});

test("a text names the speakers that are known", () => {
  assert.equal(page.plainText(transcript), "SPEAKER_00: Hello.\nOh, hello.\n");
});

test("each file is what the server wrote", async () => {
  const text = (kind) => page.fileOf(transcript, kind).text();
  assert.equal(await text("srt"), "1\n…");
  assert.equal(await text("vtt"), "WEBVTT\n…");
  assert.deepEqual(JSON.parse(await text("json")), transcript);
  assert.equal(await text("txt"), page.plainText(transcript));
});

test("one line says what a transcript is about", () => {
  const line = "1:02:03 of audio · language en · ready in 1.3 s · 1 speaker";
  assert.equal(page.facts(transcript), line);
});

test("scripts that need a browser are well formed", () => {
  for (const name of ["app.js", "docs.js"]) new vm.Script(source(name));
});
