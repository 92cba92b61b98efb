// What Dad says during a game: the joke in its parts, or a sentence in its place.
import { fit } from "../jokes/fit.js";
import { readingMs } from "./timing.js";

const bubble = document.getElementById("joke");
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
let said = null;

// A sentence, once.
export function say(words) {
  if (said === words) return;
  said = words;
  bubble.replaceChildren(part("aside", words));
  done();
}

// The set-up, word by word; the room of the punchline is kept, so that nothing jumps.
export function setUp(joke, pace) {
  said = joke;
  const room = joke.punchline ? [" ", part("room", joke.punchline)] : [];
  room[1]?.setAttribute("aria-hidden", "true");
  bubble.replaceChildren(read(part("set-up", joke.setUp), pace), ...room);
  done();
  document.dispatchEvent(new CustomEvent("telling", { detail: { text: joke.setUp } })); // for the voice
  if (!joke.punchline) told(joke);
}

export function punchline(joke, pace) {
  bubble.querySelector(".room")?.replaceWith(read(part("punchline", joke.punchline), pace));
  told(joke);
}

function told({ id, source }) {
  document.dispatchEvent(new CustomEvent("joke", { detail: { id, source } }));
}

function done() {
  bubble.classList.add("ready");
  fit();
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

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}
