// What Dad says during a game: the joke in its parts, or a sentence in its place.
import { part, show, showPunchline, showSetUp } from "../jokes/bubble.js";
import { readingMs } from "./timing.js";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
let said = null;

// A sentence, once.
export function say(words) {
  if (said === words) return;
  said = words;
  show(part("aside", words));
}

// The set-up, word by word.
export function setUp(joke, pace) {
  said = joke;
  showSetUp(joke, (span) => read(span, pace));
  if (!joke.punchline) told(joke);
}

export function punchline(joke, pace) {
  showPunchline(joke, (span) => read(span, pace));
  told(joke);
}

function told({ id, source }) {
  document.dispatchEvent(new CustomEvent("joke", { detail: { id, source } }));
}

// Each word appears when it is its turn.
function read(span, pace) {
  if (still.matches) return span;
  const words = span.textContent.split(/(\s+)/), each = readingMs(span.textContent) / pace / words.length;
  span.replaceChildren(...words.map((word, i) => {
    if (!word.trim()) return word;
    const one = part("word", word);
    one.style.setProperty("animation-delay", `${Math.round(each * i)}ms`);
    return one;
  }));
  return span;
}
