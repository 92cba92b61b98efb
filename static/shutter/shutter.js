// The smile shutter on the page: armed by a button, it takes a picture when everyone in view smiles. Nothing is sent.
import { newReadings } from "../cameras/new_readings.js";
import { copyPicture, hasPicture } from "../cameras/picture.js";
import { heard } from "../jokes/jokes.js";
import { put } from "../put.js";
import { remember } from "../remembered.js";
import { MOST, PhotoStrip } from "./photo_strip.js";
import { ShutterTiming } from "./shutter_timing.js";

const LOOK_EVERY_MS = 250; // checks that readings still come
const GIVE_UP_MS = 10_000; // without a reading
const COUNT_SPOKEN_EVERY_MS = 4000;
const TICK_SHOWN_MS = 1500; // after a picture
const FULL = `The strip is full with ${MOST} pictures. Download them, delete some, and arm the shutter again.`;
const ANOTHER = " Arm the shutter for another.";
const WAITING = "Armed: waiting for everyone to smile.";
const HIDDEN = "Shutter off: this page was hidden.";
const $ = (id) => document.getElementById(id);
const body = document.body, frame = $("frame"), arm = $("arm");

const ring = $("shutter-ring"), flash = $("shutter-flash");
const timing = new ShutterTiming();
const strip = new PhotoStrip({ say, onEmpty: () => (arm.offsetParent ? arm : frame).focus({ preventScroll: true }) });
const isNew = newReadings();
let shownFor = ""; // the mode whose camera gave a picture
let lookTimer = null, tickTimer = null;
let readableAt = 0; // or armed since
let candidate = null; // the picture at the previous reading: people smile between two smiling readings, on slow computers too
let spokenCount = "", spokenAt = 0;

// --- which camera there is ---

function cameraFound() {
  shownFor = body.dataset.mode;
  $("shutter").hidden = false;
}

function cameraChanged() {
  const { mode } = body.dataset;
  if (!shownFor || (mode === shownFor && (mode === "server" || frame.classList.contains("mine-on")))) return;
  disarm(document.hidden ? HIDDEN : "Shutter off: the camera was stopped.");
  say($("shutter-state").textContent.replace(ANOTHER, "")); // it can't be armed now
  const focused = $("shutter").contains(document.activeElement);
  shownFor = "";
  $("shutter").hidden = true;
  if (focused) frame.focus({ preventScroll: true });
}

// --- arming ---

function toggle() {
  if (timing.state !== "off") return disarm("Shutter off.");
  if (strip.full) return say(FULL);
  timing.keepGoing = $("keep-going").checked;
  timing.arm();
  readableAt = performance.now();
  spokenCount = "";
  spokenAt = readableAt;
  clearTimeout(tickTimer);
  ring.classList.remove("fired");
  press(true);
  clearInterval(lookTimer);
  lookTimer = setInterval(look, LOOK_EVERY_MS);
  say(WAITING);
  draw();
}

function disarm(words) {
  if (timing.state === "off") return;
  timing.disarm();
  off();
  say(words);
}

function off() {
  candidate = null;
  clearInterval(lookTimer);
  press(false);
  draw();
}

function look() {
  const now = performance.now(), before = timing.state;
  timing.tick(now);
  sayChange(before);
  if (now - readableAt > GIVE_UP_MS) disarm("Shutter off: the picture could not be read for ten seconds.");
  else draw();
}

// --- readings ---

function read({ detail: state }) {
  const now = performance.now();
  if (!isNew(state)) return;
  const readable = !state.message && hasPicture();
  if (readable && shownFor !== body.dataset.mode) cameraFound();
  if (timing.state === "off") return;
  if (readable) readableAt = now;
  const before = timing.state;
  if (timing.read(readable ? state.faces : null, now)) return fire();
  candidate = timing.state === "holding" ? copyPicture(candidate ?? document.createElement("canvas")) : null;
  sayChange(before);
  draw();
  speakCount(now);
}

async function fire() {
  const canvas = candidate ?? copyPicture(document.createElement("canvas"));
  candidate = null;
  shine();
  if (timing.state === "off") off();
  else draw();
  const number = await strip.add(canvas, heard()).catch(() => 0);
  if (!number) return disarmWith("The picture could not be kept; delete some of the strip and arm the shutter again.");
  const taken = `Picture ${number} is taken.`;
  if (strip.full) disarmWith(`${taken} ${FULL}`);
  else if (timing.state === "off") say(taken + ANOTHER);
  else if (timing.keepGoing) say(`${taken} Stop smiling, and smile again for the next.`);
}

function disarmWith(words) {
  timing.disarm();
  off();
  say(words);
}

// --- what is seen and heard ---

function press(armed) {
  arm.setAttribute("aria-pressed", armed);
  put($("armed"), armed ? "armed" : "off");
}

function shine() {
  document.dispatchEvent(new Event("shutter"));
  flash.classList.remove("now");
  void flash.offsetWidth; // begins the animation anew
  flash.classList.add("now");
  ring.classList.add("fired");
  clearTimeout(tickTimer);
  tickTimer = setTimeout(() => {
    ring.classList.remove("fired");
    draw();
  }, TICK_SHOWN_MS);
}

function draw() {
  const armed = timing.state !== "off";
  const fired = ring.classList.contains("fired");
  const blind = armed && timing.isBlind(performance.now());
  ring.hidden = !armed && !fired;
  ring.classList.toggle("resting", timing.state === "resting");
  ring.querySelector(".fill").setAttribute("stroke-dashoffset", fired ? 0 : 100 - 100 * timing.progress);
  ring.querySelector("text").textContent = blind || !timing.inView ? "–" : `${timing.smiling}/${timing.inView}`;
  put($("shutter-count"), armed ? count(blind) : "");
}

function count(blind) {
  if (blind) return "No reading of the picture just now.";
  return timing.inView ? `${timing.smiling} of ${timing.inView} smiling.` : "Nobody is in view.";
}

// People who can't see the picture want to know who is not smiling yet, but not twenty times a second.
function speakCount(now) {
  if (timing.state !== "waiting" || now - spokenAt < COUNT_SPOKEN_EVERY_MS) return;
  const words = count(timing.isBlind(now));
  spokenAt = now;
  if (words !== spokenCount) put($("shutter-said"), words);
  spokenCount = words;
}

function sayChange(before) {
  if (before === timing.state) return;
  if (timing.state === "holding") say("Everyone smiles: hold it…");
  else if (before === "holding") say(WAITING);
  else if (before === "resting") say("Ready for the next smile.");
}

function say(words) {
  put($("shutter-state"), words);
}

remember($("keep-going"), "keep going", false);
arm.addEventListener("click", toggle);
$("keep-going").addEventListener("change", () => (timing.keepGoing = $("keep-going").checked));
document.addEventListener("smiles", read);
document.addEventListener("visibilitychange", () => document.hidden && disarm(HIDDEN));
window.addEventListener("pagehide", () => disarm(HIDDEN));
const watcher = new MutationObserver(cameraChanged);
watcher.observe(frame, { attributes: true, attributeFilter: ["class"] });
watcher.observe(body, { attributes: true, attributeFilter: ["data-mode"] });
