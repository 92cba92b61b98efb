// Was the joke funny? Its numbers, never a picture, go to this page's session and, with the visitor's consent, to the joke board.
import { at } from "../addresses.js";
import { remember } from "../remembered.js";
import { BEFORE_MS, measure, rise } from "./lift.js";

const LASTS_MS = 15000;
const KEPT = "count my smiles";

let joke = null, agreed = false, beganAt = null, toldAt = 0, timer = null;
let samples = []; // [time, smile] of the biggest face
const agree = document.getElementById("agree");

// Takes every reading of the biggest face; null: there is none.
export function noteSmile(smile) {
  const now = performance.now();
  if (smile !== null) samples.push([now, smile]);
  const oldest = (beganAt ?? now) - BEFORE_MS;
  while (samples.length && samples[0][0] < oldest) samples.shift();
}

// The set-up is there. The joke is measured from the smile before it.
export function jokeBegins() {
  finish();
  beganAt = performance.now();
}

// All of the joke is there: from now on it can be funny.
export function jokeTold(id, source) {
  document.dispatchEvent(new CustomEvent("joke", { detail: { id, source } })); // for the timeline
  joke = { id, source };
  agreed = Boolean(agree?.checked);
  toldAt = performance.now();
  beganAt ??= toldAt;
  timer = setTimeout(finish, LASTS_MS);
}

// How far the smile has risen so far, 0 to 1.
export function riseSoFar() {
  return rise(samples, beganAt);
}

// Tells and sends what the joke did, if somebody was there before and after it.
export function finish() {
  clearTimeout(timer);
  const told = joke;
  const reaction = told && measure(samples, beganAt, toldAt);
  joke = beganAt = null;
  if (!reaction) return;
  document.dispatchEvent(new CustomEvent("reaction", { detail: { ...told, ...reaction } }));
  if (!agreed || !agree.checked) return;
  const { before, peak, seconds } = reaction;
  fetch(at("api/v1/reactions"), { // flat ones too, or every joke would look funny
    method: "POST",
    keepalive: true, // the page may be going
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ joke: told, before, peak, seconds, agreed: true }),
  }).catch(() => {}); // an uncounted smile is no loss
}

if (agree) {
  remember(agree, KEPT, false);
  agree.addEventListener("change", () => (agreed = false)); // a joke under way is left out
}
