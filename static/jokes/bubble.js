// What stands in Dad's bubble: a joke's set-up, and its punchline in the room that was kept for it.
import { fit } from "./fit.js";

const bubble = document.getElementById("joke");
const asItIs = (span) => span;

// The punchline's room is kept, so that nothing jumps. A screen reader finds nothing there before its moment; then a new element
// comes, which is read out by itself. `dress`: takes the words, and returns them as they shall appear.
export function showSetUp({ setUp, punchline }, dress = asItIs) {
  const room = punchline ? [" ", part("room", punchline)] : [];
  room[1]?.setAttribute("aria-hidden", "true");
  show(dress(part("set-up", setUp)), ...room);
  document.dispatchEvent(new CustomEvent("telling", { detail: { text: setUp } })); // for who takes turns, and for the voice
}

export function showPunchline({ punchline }, dress = asItIs) {
  bubble.querySelector(".room")?.replaceWith(dress(part("punchline", punchline)));
}

export function show(...parts) {
  bubble.replaceChildren(...parts);
  bubble.classList.add("ready");
  fit();
}

export function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}
