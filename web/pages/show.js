// A transcript on the page: its segments, and files to keep.
"use strict";

/** Seconds as 1:02:03 or 2:03. */
function clock(secs) {
  const whole = Math.max(0, Math.floor(secs));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** An element with properties and children; text is never taken as HTML. */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Fills the list of segments; `play` is called with the second that somebody wants to hear. */
function showSegments(list, transcript, play) {
  let before = null;
  const rows = transcript.segments.map((segment) => {
    const at = element("button", { type: "button" }, clock(segment.start));
    at.setAttribute("aria-label", `Play from ${clock(segment.start)}`);
    at.addEventListener("click", () => play(segment.start));
    const text = element("p", {});
    if (segment.speaker && segment.speaker !== before) {
      text.append(element("b", {}, `${segment.speaker}:`));
    }
    before = segment.speaker;
    text.append(segment.text);
    const row = element("li", {}, at, text);
    row.dataset.start = segment.start;
    row.dataset.end = segment.end;
    return row;
  });
  list.replaceChildren(...rows);
}

/** Marks the segment that is being heard. */
function markSegment(list, secs) {
  for (const row of list.children) {
    row.classList.toggle("now", secs >= Number(row.dataset.start) && secs < Number(row.dataset.end));
  }
}

/** The transcript as text: a line for each segment, where speakers are known with their labels. */
function plainText(transcript) {
  const line = (segment) => (segment.speaker ? `${segment.speaker}: ${segment.text}` : segment.text);
  return transcript.segments.map(line).join("\n") + "\n";
}

/** The transcript as a file of this kind. */
function fileOf(transcript, kind) {
  switch (kind) {
    case "srt": return new Blob([transcript.subtitles.srt], { type: "application/x-subrip" });
    case "vtt": return new Blob([transcript.subtitles.vtt], { type: "text/vtt" });
    case "json": return new Blob([JSON.stringify(transcript, null, 2) + "\n"], { type: "application/json" });
    default: return new Blob([plainText(transcript)], { type: "text/plain" });
  }
}

/** Has the browser keep a file. */
function keep(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // Browsers begin to read after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** One line about a transcript. */
function facts(transcript) {
  const parts = [
    `${clock(transcript.audio_duration)} of audio`,
    `language ${transcript.language}`,
    `ready in ${transcript.duration.toFixed(1)} s`,
  ];
  if (transcript.speakers.length > 0) {
    parts.push(transcript.speakers.length === 1 ? "1 speaker" : `${transcript.speakers.length} speakers`);
  }
  return parts.join(" · ");
}
