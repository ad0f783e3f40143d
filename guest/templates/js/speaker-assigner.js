// A speaker-assigner: says who speaks, and hides words.
//
// Setting `hide`: words that become "***", with commas between them; default none.
import { get } from 'auricle:runtime/configuration@0.1.0';

export const speakerAssigner = {
  assign(segments, turns) {
    const hidden = hiddenWords();
    for (const segment of segments) {
      segment.speaker = longestHeard(segment, turns);
      segment.text = hide(segment.text, hidden);
      for (const word of segment.words) {
        word.speaker = segment.speaker;
        word.word = hide(word.word, hidden);
      }
    }
    return segments;
  },
};

function hiddenWords() {
  const words = (get('hide') ?? '').split(',').map((word) => word.trim().toLowerCase());
  return new Set(words.filter((word) => word !== ''));
}

/** The text with the words in it hidden. */
function hide(text, hidden) {
  const words = /[^\s.,;:!?'’"“”()…–—-]+/g;
  return text.replace(words, (word) => (hidden.has(word.toLowerCase()) ? '***' : word));
}

/** Who speaks for longest while the segment lasts; nobody when there are no turns. */
function longestHeard(segment, turns) {
  const secs = new Map();
  for (const turn of turns) {
    const together = Math.min(turn.end, segment.end) - Math.max(turn.start, segment.start);
    if (together > 0) secs.set(turn.speaker, (secs.get(turn.speaker) ?? 0) + together);
  }
  let longest;
  for (const [speaker, heard] of secs) {
    if (longest === undefined || heard > secs.get(longest)) longest = speaker;
  }
  return longest;
}
