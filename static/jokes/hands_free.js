// A smile brings the next joke, unless the visitor switched that off. On the party screen it always does, once all have laughed.
import { partying } from "../party/partying.js";
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
    const smiles = (partying() ? faces : faces.slice(0, 1)).map(({ smile }) => smile);
    const due = turns.read(message || !smiles.length ? null : Math.max(...smiles), performance.now());
    if (due && (box.checked || partying()) && !document.hidden) hearMore();
  });
}
