// A line at the page's lower edge that says what was done, and for a while undoes it.
const SHOWN_MS = 8000;
const $ = (id) => document.getElementById(id);
const words = $("toast"), button = $("toast-undo");
let timer = null, undo = null;

// `onUndo`: undoes it, if that can be.
export function toast(text, onUndo = null) {
  undo = onUndo;
  button.hidden = !onUndo;
  words.textContent = text;
  wait();
}

function wait() {
  clearTimeout(timer);
  timer = setTimeout(() => (isInUse() ? wait() : close()), SHOWN_MS);
}

// Nobody loses the button while they reach for it.
const isInUse = () => document.activeElement === button || words.parentElement.matches(":hover");

function close() {
  words.textContent = "";
  button.hidden = true;
  undo = null;
}

button.addEventListener("click", () => {
  const act = undo;
  close();
  act?.();
});
