// If there are several faces, a small meter for each: its mark, a mouth that bends with its smile, and the number.
import { badge, svg } from "../people/badges.js";
import { SHOWN } from "../people/face_slots.js";

const list = document.getElementById("people"), more = document.getElementById("more"), whose = document.getElementById("whose");
const meters = new Map(); // slot -> {item, meter, mouth, number}

// `faces`: [{slot, smile, label, percent}, ...] the biggest first, which the big meter follows.
export function showFaces(faces) {
  const several = faces.length > 1;
  list.hidden = !several;
  const shown = several ? faces.filter(({ slot }) => slot <= SHOWN) : [];
  for (const [slot, { item }] of meters) {
    if (shown.some((face) => face.slot === slot)) continue;
    item.remove();
    meters.delete(slot);
  }
  for (const face of shown) draw(face);
  const hidden = several ? faces.length - shown.length : 0;
  more.hidden = !hidden;
  if (hidden) more.textContent = `and ${hidden} more ${hidden === 1 ? "face" : "faces"}`;
  showWhose(several ? faces[0].slot : 0);
}

function draw({ slot, percent, label }) {
  if (!meters.has(slot)) add(slot);
  const { item, meter, mouth, number } = meters.get(slot);
  item.classList.toggle("smiles", label === "smile");
  meter.setAttribute("aria-valuenow", percent);
  meter.setAttribute("aria-valuetext", `${percent} percent`);
  mouth.setAttribute("d", `M3 8Q20 ${(8 + 0.24 * percent).toFixed(1)} 37 8`);
  number.textContent = `${percent} %`;
}

function add(slot) {
  const item = document.createElement("li");
  const meter = document.createElement("span"), number = document.createElement("span");
  const mouth = svg("path", {});
  meter.setAttribute("role", "meter");
  meter.setAttribute("aria-label", `Face ${slot}`);
  meter.setAttribute("aria-valuemin", 0);
  meter.setAttribute("aria-valuemax", 100);
  meter.append(
    svg("svg", { viewBox: "-1 -1 26 26", class: "mark", "aria-hidden": "true", focusable: "false" }, badge(slot)),
    svg("svg", { viewBox: "0 0 40 24", class: "mouth", "aria-hidden": "true", focusable: "false" }, mouth),
    number,
  );
  item.append(meter);
  meters.set(slot, { item, meter, mouth, number });
  const after = [...meters.keys()].filter((other) => other > slot).sort((a, b) => a - b)[0];
  list.insertBefore(item, after ? meters.get(after).item : null); // in the order of their numbers, whoever is biggest
}

function showWhose(slot) {
  if (whose.dataset.slot === String(slot)) return;
  whose.dataset.slot = slot;
  whose.toggleAttribute("hidden", !slot);
  if (slot) whose.replaceChildren(svg("title", {}, `Face ${slot}, the biggest`), badge(slot));
}
