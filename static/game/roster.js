// Everybody who plays, below Dad: mark, name, how near the smile is to the line, and what became of them.
import { percent } from "../meter/percent.js";
import { badge, svg } from "../people/badges.js";
import { put } from "../put.js";
import { name } from "./words.js";

const list = document.getElementById("players");
const rows = new Map(); // key -> its parts

// `players`: [{key, slot, smile, limit: null before it is known, state: in words, out, you, choice: whether one can choose, plays}, ...]
// in their order. `onChoice(key, plays)`.
export function showPlayers(players, onChoice) {
  for (const [key, { item }] of rows) {
    if (players.some((one) => one.key === key)) continue;
    item.remove();
    rows.delete(key);
  }
  players.forEach((player, place) => {
    const row = rows.get(player.key) ?? added(player.key, onChoice);
    if (list.children[place] !== row.item) list.insertBefore(row.item, list.children[place] ?? null);
    draw(row, player);
  });
  list.hidden = !players.length;
}

function added(key, onChoice) {
  const item = document.createElement("li");
  const mark = svg("svg", { viewBox: "-1 -1 26 26", class: "mark", "aria-hidden": "true", focusable: "false" });
  const [who, label, state, meter, fill, line] = ["span", "label", "span", "span", "i", "b"].map((kind) => document.createElement(kind));
  const choice = Object.assign(document.createElement("input"), { type: "checkbox" });
  for (const [element, kind] of [[who, "who"], [label, "plays"], [state, "state"], [meter, "near"]]) element.className = kind;
  choice.addEventListener("change", () => onChoice(key, choice.checked));
  label.append(choice, "plays");
  meter.setAttribute("role", "meter");
  meter.setAttribute("aria-valuemin", 0);
  meter.setAttribute("aria-valuemax", 100);
  meter.append(fill, line);
  item.append(mark, who, state, label, meter);
  const row = { item, mark, who, label, choice, state, meter, fill, line, slot: null };
  rows.set(key, row);
  return row;
}

function draw(row, { slot, smile, limit, state, out, you, choice, plays }) {
  if (row.slot !== slot) row.mark.replaceChildren(...(slot ? [badge(slot)] : []));
  row.slot = slot;
  const called = you ? "You" : slot ? name({ slot }) : "A guest";
  put(row.who, called);
  put(row.state, state);
  row.item.classList.toggle("out", Boolean(out));
  row.label.hidden = !choice;
  if (choice) row.choice.checked = plays;
  row.choice.setAttribute("aria-label", `${called} plays`);
  row.meter.hidden = Boolean(out);
  row.meter.setAttribute("aria-label", you ? "Your smile" : `${called}'s smile`);
  row.meter.setAttribute("aria-valuenow", percent(smile));
  row.meter.setAttribute("aria-valuetext", `${percent(smile)} percent`);
  row.fill.style.setProperty("width", `${percent(smile)}%`);
  row.fill.classList.toggle("over", limit !== null && smile >= limit);
  row.line.hidden = limit === null;
  if (limit !== null) row.line.style.setProperty("left", `${(100 * limit).toFixed(1)}%`);
}
