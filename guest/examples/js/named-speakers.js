// Example of a speaker-assigner in JavaScript: calls speakers by name.
//
// Whoever speaks first gets the first name, the next new speaker the second: on a telephone line it is
// known who answers. A word belongs to whoever speaks at its middle; a segment is split where the
// speaker changes, and is whole where no words have times.
//
// Setting `names`: the names, with commas between them; who comes after the last one keeps the label.
//
// It is `component.js` of a project that `auricle component new --lang js` writes.
import { get } from 'auricle:runtime/configuration@0.1.0';
import { write } from 'auricle:runtime/log@0.1.0';

export const speakerAssigner = {
  assign(segments, turns) {
    if (turns.length === 0) return segments;
    const names = called(turns);
    const assigned = segments.flatMap((segment) => split(segment, turns, names));
    write('debug', `${segments.length} segments became ${assigned.length}`);
    return assigned;
  },
};

/** The names by label, in order of first speech. */
function called(turns) {
  const given = (get('names') ?? '').split(',').map((name) => name.trim());
  if (given.some((name, at) => name !== '' && given.indexOf(name) !== at)) {
    throw { tag: 'invalid-configuration', val: `names is '${given.join(',')}': a name is there twice` };
  }
  const names = new Map();
  for (const { speaker } of [...turns].sort((a, b) => a.start - b.start)) {
    if (!names.has(speaker)) names.set(speaker, given[names.size] || speaker);
  }
  return names;
}

function split(segment, turns, names) {
  const whole = names.get(speakerAt((segment.start + segment.end) / 2, turns));
  if (segment.words.length === 0) return [{ ...segment, speaker: whole }];
  const parts = [];
  let before = whole;
  for (const word of segment.words) {
    before = names.get(speakerAt((word.start + word.end) / 2, turns, before, names)) ?? before;
    const last = parts.at(-1);
    if (last?.speaker === before) last.words.push({ ...word, speaker: before });
    else parts.push({ speaker: before, words: [{ ...word, speaker: before }] });
  }
  if (parts.length === 1) return [{ ...segment, ...parts[0] }];
  // Nobody knows which tokens belong to which part.
  return parts.map(({ speaker, words }) => ({
    ...segment,
    speaker,
    words,
    start: words[0].start,
    end: words.at(-1).end,
    text: words.map(({ word }) => word).join(' '),
    tokens: new Uint32Array(),
    logprobs: [],
  }));
}

/** Who speaks at a time: of several whoever spoke before, else the one who began last. */
function speakerAt(secs, turns, before, names) {
  const speaking = turns.filter(({ start, end }) => start <= secs && secs < end);
  const goesOn = speaking.find(({ speaker }) => names?.get(speaker) === before);
  return (goesOn ?? speaking.at(-1))?.speaker;
}
