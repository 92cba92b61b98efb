// Dad tells a joke: the set-up, a beat, the punchline. "Another one" brings the next, without a reload.
import { notFunny } from "../kept/joke_list.js";
import { askJoke, HiddenError } from "./asking.js";
import { fit } from "./fit.js";
import { splitJoke } from "./joke_parts.js";
import { finish, jokeBegins, jokeTold } from "./reactions.js";

const BEAT_MS = 2500;
const AGAIN_MS = 3000;
const HIDDEN = "Every joke that came is one you hid. Bring some back below, under Your jokes.";
const GONE = "Dad does not answer just now. Is the app still running? Trying again…";
const $ = (id) => document.getElementById(id);
const joke = $("joke"), button = $("another");
let asking = false, again = null, beat = null, reveal = null; // `reveal`: tells the punchline that is still to come
let current = null, said = ""; // the joke, and as much of it as was told

// The joke that came with the page, or another where that one is hidden here.
export function tellFirst() {
  const first = { text: joke.textContent, id: joke.dataset.id, source: joke.dataset.source };
  if (!notFunny.has(first)) return tell(first);
  joke.replaceChildren();
  joke.classList.add("ready");
  tellAnother();
}

// The joke that is told: {id, source, text}, its punchline too.
export function toldJoke() {
  return current;
}

// What Dad has said of it so far.
export function heard() {
  return said;
}

// The punchline if one is still to come, else another joke.
export function hearMore() {
  if (reveal) reveal();
  else tellAnother();
}

export function revealPunchline() {
  reveal?.();
}

export async function tellAnother() {
  if (asking) return;
  asking = true;
  clearTimeout(again);
  finish(); // counts what the last joke did
  try {
    const next = await askJoke();
    if (next) tell(next); // else there were too many at once, and the current joke stays
    news("");
  } catch (error) {
    if (error instanceof HiddenError) return news(HIDDEN);
    news(GONE); // beside the joke, which stays; the next comes as soon as he answers
    again = setTimeout(tellAnother, AGAIN_MS);
  } finally {
    asking = false;
  }
}

function tell({ text, id, source }) {
  const [setUp, punchline] = splitJoke(text);
  clearTimeout(beat);
  reveal = null;
  current = { id, source, text: `${setUp} ${punchline}`.trim() };
  said = setUp;
  joke.dataset.id = id;
  joke.dataset.source = source;
  $("told-by").textContent = source === "icanhazdadjoke" ? "icanhazdadjoke.com" : "this app's own dad";
  jokeBegins();
  document.dispatchEvent(new CustomEvent("telling", { detail: { text: setUp } })); // for who takes turns, and for the voice
  const told = () => jokeTold(id, source);
  if (!punchline) {
    joke.replaceChildren(part("set-up", setUp));
    fit();
    wait(false);
    told();
    return;
  }
  // The punchline's room is kept, so that nothing jumps. A screen reader finds nothing there before its moment; then a new
  // element comes, which is read out by itself.
  const room = part("room", punchline);
  room.setAttribute("aria-hidden", "true");
  joke.replaceChildren(part("set-up", setUp), " ", room);
  fit();
  wait(true);
  beat = setTimeout(() => reveal?.(), BEAT_MS);
  reveal = () => {
    clearTimeout(beat);
    reveal = null;
    said = current.text;
    room.replaceWith(part("punchline", punchline));
    wait(false);
    told();
  };
}

function wait(waiting) {
  joke.classList.add("ready");
  document.body.classList.toggle("waiting", waiting);
  button.textContent = waiting ? "Punchline!" : "Another one";
}

function news(words) {
  if ($("joke-news").textContent !== words) $("joke-news").textContent = words;
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}
