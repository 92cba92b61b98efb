// Shows what is read off the pictures, in words and on the meter. Both cameras use it.
import { tellFacts } from "../cameras/words.js";
import { drawDad } from "./dad.js";
import { showFaces } from "./face_meters.js";
import { percent } from "./percent.js";
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
  tellFacts(state);
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
