// Takes a file or a recording, has it transcribed, and shows what came back.
"use strict";

const at = (id) => document.getElementById(id);

const page = {
  /** What will be sent: a File, or nothing yet. */
  audio: null,
  /** What came back last. */
  transcript: null,
  /** Ends the request that runs; nothing while none does. */
  request: null,
  recorder: null,
};

function say(text) {
  at("status").textContent = text;
}

function complain(text) {
  at("error").textContent = text;
  at("error").hidden = text === "";
}

/** Takes a file as what to send next. */
function take(file) {
  page.audio = file;
  complain("");
  say(file ? `${file.name}, ${(file.size / 1e6).toFixed(1)} MB` : "");
}

/** The form as the server reads it. */
function fields() {
  const form = new FormData();
  for (const name of ["language", "task", "prompt"]) {
    form.append(name, at(name).value.trim());
  }
  form.append("word_timestamps", "true");
  form.append("subtitles", "true");
  if (at("diarize").checked) {
    form.append("diarize", "true");
    form.append("num_speakers", at("num_speakers").value);
  }
  // Last, so that a wrong option is refused before the file has been sent.
  form.append("file", page.audio, page.audio.name);
  return form;
}

/** What a failed answer says; a proxy's may have no text of ours. */
async function reason(response) {
  try {
    const body = await response.json();
    return body.detail ?? body.error.message;
  } catch {
    return `the server answered ${response.status}`;
  }
}

async function ask(signal) {
  const key = at("key").value.trim();
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch("transcribe", { method: "POST", body: fields(), headers, signal });
  if (response.ok) {
    return response.json();
  }
  if (response.status === 401) {
    at("key-field").hidden = false;
    at("key").focus();
  }
  throw new Error(await reason(response));
}

function busy(is) {
  at("start").disabled = is;
  at("record").disabled = is;
  at("stop").hidden = !is;
}

async function transcribe() {
  if (!page.audio) {
    complain("Choose a file first.");
    at("file").focus();
    return;
  }
  const began = performance.now();
  const seconds = () => clock((performance.now() - began) / 1000);
  const ticking = setInterval(() => say(`Working on ${page.audio.name}: ${seconds()}`), 1000);
  say(`Sending ${page.audio.name}`);
  complain("");
  page.request = new AbortController();
  busy(true);
  try {
    show(await ask(page.request.signal), page.audio);
    say("");
  } catch (error) {
    const stopped = error.name === "AbortError";
    say(stopped ? "Stopped." : "");
    const unreachable = error instanceof TypeError;
    complain(stopped ? "" : unreachable ? "The server cannot be reached." : `${error.message}.`);
  } finally {
    clearInterval(ticking);
    page.request = null;
    busy(false);
  }
}

function show(transcript, audio) {
  page.transcript = { ...transcript, name: audio.name };
  const player = at("player");
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(audio);
  at("facts").textContent = facts(transcript);
  showSegments(at("segments"), transcript, (secs) => {
    player.currentTime = secs;
    player.play().catch(() => complain("This browser cannot play the file."));
  });
  at("result").hidden = false;
  at("result-title").focus();
}

/** Name of a file to keep: that of the audio, with another ending. */
function fileName(kind) {
  return `${page.transcript.name.replace(/\.[^.]*$/, "")}.${kind}`;
}

function wanted(event) {
  const kind = event.target.dataset.kind;
  if (!kind) {
    return;
  }
  const { name, ...transcript } = page.transcript;
  keep(fileOf(transcript, kind), fileName(kind));
}

async function copy() {
  try {
    await navigator.clipboard.writeText(plainText(page.transcript));
    say("Copied.");
  } catch {
    complain("The browser does not let this page copy: take the text as a file.");
  }
}

/** Begins to record, or ends it and takes what was recorded. */
async function record() {
  if (page.recorder) {
    page.recorder.stop();
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    complain("The microphone cannot be used: allow it in the browser's settings.");
    return;
  }
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    stream.getTracks().forEach((track) => track.stop());
    recording(null);
    at("file").value = "";
    const type = recorder.mimeType;
    const ending = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
    take(new File(pieces, `recording.${ending}`, { type: type.split(";")[0] }));
    at("start").focus();
  });
  recorder.start(1000);
  recording(recorder);
}

function recording(recorder) {
  page.recorder = recorder;
  at("record").textContent = recorder ? "End the recording" : "Record from the microphone";
  at("record").classList.toggle("on", recorder !== null);
  at("start").disabled = recorder !== null;
  if (recorder) {
    complain("");
    say("Recording…");
  }
}

function listen() {
  const drop = at("drop");
  for (const name of ["dragenter", "dragover"]) {
    addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  addEventListener("dragleave", (event) => {
    // Only when the pointer leaves the window.
    if (event.relatedTarget === null) drop.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) {
      at("file").files = event.dataTransfer.files;
      take(file);
    }
  });
  at("file").addEventListener("change", () => take(at("file").files[0] ?? null));
  at("diarize").addEventListener("change", () => {
    at("num_speakers").disabled = !at("diarize").checked;
  });
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    transcribe();
  });
  at("stop").addEventListener("click", () => page.request?.abort());
  at("downloads").addEventListener("click", wanted);
  at("copy").addEventListener("click", copy);
  at("player").addEventListener("timeupdate", () => markSegment(at("segments"), at("player").currentTime));
  at("record").addEventListener("click", record);
  // Browsers offer the microphone to pages of this machine and to https alone.
  at("record").hidden = !(navigator.mediaDevices && window.MediaRecorder);
}

async function greet() {
  try {
    const health = await (await fetch("health")).json();
    at("server").textContent = `Speech to text on your own machine, with the model ${health.model}.`;
  } catch {
    // Said when something is sent.
  }
}

listen();
greet();
