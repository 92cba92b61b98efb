// What is said about a camera: on the curtain over the picture, in the line below it, and to screen readers.
import { put } from "../put.js";

const $ = (id) => document.getElementById(id);

// A state without faces, and why there are none.
export const nothing = (message) => ({ faces: [], fps: 0, message });

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
  put($("camera-state"), words);
}

// How many faces there are, or why none are read, and how fast. `state`: {faces, fps, message}.
export function tellFacts({ faces, fps, message }) {
  $("faces").textContent = message || (faces.length === 1 ? "1 face" : `${faces.length || "No"} faces`);
  $("fps").textContent = fps ? `${fps.toFixed(0)} ${fps.toFixed(0) === "1" ? "picture" : "pictures"} a second` : "";
}
