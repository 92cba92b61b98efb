// When the smile crosses the line Dad laughs, and the points that it has risen fly up.
import { points } from "../jokes/lift.js";
import { riseSoFar } from "../jokes/reactions.js";

const RISES = 0.5, EBBS = 0.4;
const PEAK_MS = 600; // a smile that crosses the line is still rising
const LASTS_MS = 1600;
const LEAST = 0.1; // points that may be chance don't fly
const dad = document.getElementById("dad"), flying = document.getElementById("points");
let smiling = false, timer = null;

export function startLaughing() {
  document.addEventListener("smiles", ({ detail: { faces, message } }) => {
    if (message || !faces.length) return;
    const [{ smile }] = faces;
    if (!smiling && smile >= RISES) laugh();
    smiling = smile >= (smiling ? EBBS : RISES);
  });
}

function laugh() {
  clearTimeout(timer);
  flying.hidden = true;
  dad.classList.add("laughs");
  timer = setTimeout(() => {
    const rise = riseSoFar();
    flying.textContent = points(rise);
    flying.hidden = rise < LEAST;
    timer = setTimeout(end, LASTS_MS);
  }, PEAK_MS);
}

function end() {
  dad.classList.remove("laughs");
  flying.hidden = true;
}
