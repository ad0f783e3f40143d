// A handler: answers every request that brings a file with what is said in it, as plain text.
//
//     curl -F file=@speech.wav http://127.0.0.1:8000/hear
//
// The file never comes into this component's memory: the form's part goes to the decoder as a stream,
// and what that makes of it to the pipeline as a clip.
import { decode } from 'auricle:audio/decoding@0.1.0';
import { parse } from 'auricle:http/multipart@0.1.0';
import { start } from 'auricle:pipeline/transcriber@0.2.0';
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.12';

export const incomingHandler = {
  handle(request, out) {
    const [status, text] = outcome(request);
    answer(out, status, text);
  },
};

function outcome(request) {
  try {
    return [200, transcribe(request)];
  } catch (error) {
    // What the client did wrong is a text; an error of the host's is in `payload`.
    return [400, typeof error === 'string' ? error : JSON.stringify(error.payload ?? String(error))];
  }
}

function transcribe(request) {
  const [contentType] = request.headers().get('content-type');
  if (contentType === undefined) throw 'send multipart/form-data';
  const form = parse(request.consume(), new TextDecoder().decode(contentType));
  for (let part = form.nextPart(); part !== undefined; part = form.nextPart()) {
    if (part.name() !== 'file') continue;
    const hint = { fileName: part.fileName(), contentType: part.contentType() };
    return collect(start(decode(part.content(), hint), options));
  }
  throw "add the audio as form field 'file'";
}

function collect(running) {
  const texts = [];
  for (let event = running.next(); event !== undefined; event = running.next()) {
    if (event.tag === 'segments') texts.push(...event.val.map((segment) => segment.text));
  }
  return texts.join(' ');
}

/** The server's model, language detected. */
const options = {
  languages: [],
  task: 'transcribe',
  keywords: [],
  temperature: 0,
  beamSize: 1,
  wordTimestamps: false,
  logprobs: false,
};

function answer(out, status, text) {
  const response = new OutgoingResponse(new Fields());
  response.setStatusCode(status);
  const body = response.body();
  // The host reads the body only once it has the response.
  ResponseOutparam.set(out, { tag: 'ok', val: response });
  const stream = body.write();
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 4096) {
    stream.blockingWriteAndFlush(bytes.subarray(at, at + 4096));
  }
  // The stream is a child of the body and must go first.
  stream[Symbol.dispose]();
  OutgoingBody.finish(body, undefined);
}
