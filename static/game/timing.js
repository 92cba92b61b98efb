// How long Dad takes for a joke: both parts at reading speed, a beat between them, and then he looks at you.
const BEGINS_MS = 700; // until the first word is read
const WORD_MS = 330; // three words a second, in which slow readers read on a screen
const BEAT_MS = 1500;
const LAUGH_MS = 3500;
export const BREATH_MS = 2000; // before each joke
export const MOMENT_MS = 3500; // that whoever is out stays on the screen

export function readingMs(text) {
  return BEGINS_MS + WORD_MS * text.split(/\s+/).filter(Boolean).length;
}

// In milliseconds after the set-up has begun: when the punchline comes (null: there is none), and when the joke is over.
export function timingOf({ setUp, punchline }) {
  if (!punchline) return { punchlineAt: null, overAt: readingMs(setUp) + LAUGH_MS };
  const punchlineAt = readingMs(setUp) + BEAT_MS;
  return { punchlineAt, overAt: punchlineAt + readingMs(punchline) + LAUGH_MS };
}
