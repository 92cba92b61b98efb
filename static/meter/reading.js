// Shows what is read off the pictures, in words and on the meter, and the curtain's words when there is no picture. Both
// cameras use it.
import { drawDad } from "./dad.js";
import { showFaces } from "./face_meters.js";
import { slots } from "../people/face_slots.js";
import { noteSmile } from "../jokes/reactions.js";
import { countFaces } from "../session/session.js";
import { noteFaces } from "../session/timeline.js";

const SPOKEN_EVERY_MS = 2000;
const $ = (id) => document.getElementById(id);
let lastVerdict = "", lastVerdictAt = -Infinity;

// `state`: {faces: [{smile, label}, ...] the biggest first, fps, message: why nothing can be read, or ""}. `noReading`: what
// the meter says then. Other parts that want readings (the shutter) listen to the document's "smiles" event; its `detail` is
// `state`.
export function show(state, noReading = "No picture") {
  document.dispatchEvent(new CustomEvent("smiles", { detail: state }));
  const count = state.faces.length;
  $("faces").textContent = state.message || (count === 1 ? "1 face" : `${count || "No"} faces`);
  $("fps").textContent = state.fps ? `${state.fps.toFixed(0)} pictures a second` : "";
  const biggest = state.faces[0];
  note(state.message ? [] : state.faces);
  noteSmile(biggest && !state.message ? biggest.smile : null);
  if (state.message) showMeter(null, noReading);
  else if (!biggest) showMeter(null, "Show your face to the camera");
  else showMeter(biggest.smile, biggest.label === "smile" ? "That is a smile!" : "Not smiling yet");
  showNeutral(state.message || !biggest ? null : biggest.neutral ?? null);
}

// A mark on the meter: where the face rests, from which its smile is counted. Whoever has only smiled so far has none.
function showNeutral(neutral) {
  $("neutral").hidden = neutral === null || neutral >= 0.5;
  if (neutral !== null) $("neutral").style.setProperty("--at", neutral);
}

function note(faces) {
  slots.update(faces, performance.now());
  const numbered = faces.map(({ id, smile, label }) => ({ slot: slots.of(id), smile, label, percent: percent(smile) }));
  showFaces(numbered);
  noteFaces(numbered);
  countFaces(numbered);
}

export function showNothing(words, noReading) {
  show({ faces: [], fps: 0, message: words }, noReading);
}

export function percent(smile) {
  return Math.floor(smile * 100 + 1e-6); // rounded down, so that 49.6 %, which is no smile yet, does not read 50 %
}

function showMeter(smile, verdict) {
  const number = smile === null ? 0 : percent(smile);
  drawDad(smile);
  $("bar").value = number;
  $("percent").textContent = smile === null ? "–" : `${number} %`;
  $("verdict").textContent = verdict;
  $("meter").setAttribute("aria-valuenow", number);
  $("meter").setAttribute("aria-valuetext", smile === null ? verdict : `${number} percent`);
  document.body.classList.toggle("smiling", smile !== null && smile >= 0.5);
  // A screen reader hears a change of verdict, at most every two seconds.
  if (verdict !== lastVerdict && performance.now() - lastVerdictAt > SPOKEN_EVERY_MS) {
    lastVerdict = verdict;
    lastVerdictAt = performance.now();
    $("announcement").textContent = verdict;
  }
}

// `button`: what the button under the words says; null: no button. `over`: a strip that leaves the picture in sight.
// `welcome`: Dad knocks, and one line says what happens to pictures.
export function drawCurtain(words, { button = null, over = false, welcome = false } = {}) {
  document.body.classList.toggle("knocking", welcome);
  $("words").textContent = words;
  $("invitation").hidden = button === null;
  $("start").textContent = button ?? "";
  $("curtain").classList.toggle("over", over);
  $("curtain").hidden = false;
  say(words);
}

export function openCurtain() {
  if ($("curtain").hidden) return;
  $("curtain").hidden = true;
  document.body.classList.remove("knocking");
  say("");
}

// For screen readers.
export function say(words) {
  if ($("camera-state").textContent !== words) $("camera-state").textContent = words;
}
