// A smile brings the next joke, unless the visitor switched that off.
import { remember } from "../remembered.js";
import { hearMore } from "./jokes.js";
import { TurnTaking } from "./turn_taking.js";

export function startHandsFree() {
  const box = document.getElementById("hands-free");
  const turns = new TurnTaking();
  remember(box, "hands-free", true);
  document.addEventListener("telling", () => turns.telling());
  document.addEventListener("joke", () => turns.told());
  document.addEventListener("smiles", ({ detail: { faces, message } }) => {
    const due = turns.read(message || !faces.length ? null : faces[0].smile, performance.now());
    if (due && box.checked && !document.hidden) hearMore();
  });
}
