// Dad tells a joke: the set-up, a beat, the punchline. "Another one" brings the next, without a reload.
import { notFunny } from "../kept/joke_list.js";
import { put } from "../put.js";
import { AGAIN_MS, askJoke, GONE, HIDDEN, HiddenError } from "./asking.js";
import { show, showPunchline, showSetUp } from "./bubble.js";
import { splitJoke } from "./joke_parts.js";
import { finish, jokeBegins, jokeTold } from "./reactions.js";

const BEAT_MS = 2500;
const BUSY = "Dad needs a moment. Trying again…";
const $ = (id) => document.getElementById(id);
const joke = $("joke"), button = $("another");
let asking = false, again = null, beat = null, reveal = null; // `reveal`: tells the punchline that is still to come
let current = null, said = ""; // the joke, and as much of it as was told

// The joke that came with the page, or another where that one is hidden here.
export function tellFirst() {
  const first = { text: joke.textContent, id: joke.dataset.id, source: joke.dataset.source };
  if (!notFunny.has(first)) return tell(first);
  show();
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
    if (next) tell(next);
    if (next || current) news("");
    else later(BUSY);
  } catch (error) {
    if (error instanceof HiddenError) news(HIDDEN);
    else later(GONE);
  } finally {
    asking = false;
  }
}

// The words stand beside the joke, which stays.
function later(words) {
  news(words);
  again = setTimeout(tellAnother, AGAIN_MS);
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
  showSetUp({ setUp, punchline });
  wait(Boolean(punchline));
  if (!punchline) return jokeTold(id, source);
  beat = setTimeout(() => reveal?.(), BEAT_MS);
  reveal = () => {
    clearTimeout(beat);
    reveal = null;
    said = current.text;
    showPunchline({ punchline });
    wait(false);
    jokeTold(id, source);
  };
}

function wait(waiting) {
  document.body.classList.toggle("waiting", waiting);
  button.textContent = waiting ? "Punchline!" : "Another one";
}

function news(words) {
  put($("joke-news"), words);
}
