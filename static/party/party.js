// The party screen: joke, picture and Dad fill the screen, and Dad goes on by himself, for hours. For a wall, a television, a kiosk.
import { ask, keepAwake, letSleep } from "../awake.js";
import { fit } from "../jokes/fit.js";
import { hearMore } from "../jokes/jokes.js";
import { toast } from "../toast.js";
import { partying } from "./partying.js";

const SILENCE_MS = 60_000; // then a joke comes, whether somebody is there or not
const LOOK_EVERY_MS = 1000;
const IDLE_MS = 3000; // then the pointer and the button that leaves are out of sight
const body = document.body;
const $ = (id) => document.getElementById(id);
let toldAt = 0, looking = null, idle = null, wasFull = false;

export function startParty() {
  $("party").addEventListener("click", enter);
  $("party-leave").addEventListener("click", leave);
  document.addEventListener("keydown", key);
  document.addEventListener("click", fillScreen);
  document.addEventListener("fullscreenchange", fullscreenChanged);
  for (const kind of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(kind, inUse);
  for (const kind of ["telling", "joke"]) document.addEventListener(kind, () => (toldAt = performance.now()));
  if (new URLSearchParams(location.search).has("party")) enter();
}

function enter() {
  if (partying()) return;
  body.classList.add("party");
  history.replaceState(null, "", "?party"); // so that a reload stays
  fit();
  fillScreen();
  keepAwake();
  toldAt = performance.now();
  looking = setInterval(look, LOOK_EVERY_MS);
  $("joke").focus({ preventScroll: true }); // what had the focus is out of sight, and space means a joke
  inUse();
  toast("Party screen. To leave it, press Esc, or tap the screen and then Leave.");
}

function leave() {
  if (!partying()) return;
  body.classList.remove("party", "idle");
  wasFull = false; // the browser reports the end of full screen later, which must not close a party opened meanwhile
  history.replaceState(null, "", location.pathname);
  if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  toast("");
  letSleep();
  clearInterval(looking);
  clearTimeout(idle);
  fit();
  $("party").focus();
}

function key(event) {
  if (event.key === "Escape" && partying()) leave(); // where the browser has not taken it for itself
  else if (event.key === "Enter" && event.altKey && !event.repeat) {
    event.preventDefault();
    if (partying()) leave();
    else enter();
  } else fillScreen();
}

// Browsers allow it after a click or a key only; until then, and where they never do, the window is filled.
function fillScreen() {
  if (!partying() || document.fullscreenElement) return;
  document.documentElement.requestFullscreen?.({ navigationUI: "hide" })?.catch(() => {});
}

function fullscreenChanged() {
  if (wasFull && !document.fullscreenElement) leave(); // Escape, taken by the browser
  wasFull = Boolean(document.fullscreenElement);
}

function look() {
  if (document.hidden || performance.now() - toldAt < SILENCE_MS) return;
  toldAt = performance.now(); // should none come, one is due again later
  hearMore();
  ask();
}

function inUse() {
  if (!partying()) return;
  body.classList.remove("idle");
  clearTimeout(idle);
  idle = setTimeout(() => body.classList.add("idle"), IDLE_MS);
}
