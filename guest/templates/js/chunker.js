// A chunker: cuts a clip into the pieces that the model will see.
//
// Setting `secs`: length of a piece in seconds, 1 to 30; default 20.
import { get } from 'auricle:runtime/configuration@0.1.0';

const SAMPLES_PER_SEC = 16_000n;

export const chunker = {
  split(clip, maxSamples) {
    let step = secs() * SAMPLES_PER_SEC;
    if (step > maxSamples) step = maxSamples;
    const length = clip.length();
    const spans = [];
    for (let start = 0n; start < length; start += step) {
      spans.push({ start, end: start + step < length ? start + step : length });
    }
    return spans;
  },
};

function secs() {
  const text = get('secs') ?? '20';
  const secs = Number(text);
  if (!Number.isInteger(secs) || secs < 1 || secs > 30) {
    // What is thrown is the error of the WIT function's result.
    throw { tag: 'invalid-configuration', val: `secs is '${text}': use 1 to 30` };
  }
  return BigInt(secs);
}
