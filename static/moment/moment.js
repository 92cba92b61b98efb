// The moment: three seconds round the session's best smile, as a clip. Nothing is kept before the visitor asks for it, and it is only in
// this tab's memory until it is saved or shared.
import { stamp } from "../download.js";
import { heard } from "../jokes/jokes.js";
import { percent } from "../meter/percent.js";
import { put } from "../put.js";
import { canMakeClips, drawFrame, makeClip, play } from "./clip.js";
import { Frames, PER_SECOND } from "./frames.js";
import { MomentPicker } from "./moment_picker.js";

const FEWEST = 8; // pictures, or there is no clip
const ON = "On: smile, and the best three seconds stay here.";
const $ = (id) => document.getElementById(id);
const picker = new MomentPicker(), frames = new Frames();
let taking = null, inView = false;
let moment = null; // {smile, joke, at, frames, file}: the best so far; `file` once the clip is made
let making = null, playing = null; // end what is under way

export function startMoment() {
  if (!canMakeClips()) return;
  $("moment-way").hidden = false;
  $("moment-wanted").addEventListener("change", ({ target }) => (target.checked ? begin() : end()));
  $("moment-play").addEventListener("click", replay);
  $("moment-share").addEventListener("click", share);
  $("moment-delete").addEventListener("click", remove);
  document.addEventListener("anew", () => picker.anew());
  document.addEventListener("smiles", ({ detail }) => taking && read(detail));
  document.addEventListener("visibilitychange", () => (document.hidden ? making?.abort() : make()));
}

function begin() {
  taking = setInterval(tick, 1000 / PER_SECOND);
  say(ON);
}

function end() {
  clearInterval(taking);
  taking = null;
  frames.clear();
  picker.drop();
  say(moment ? "" : "Off: nothing is kept.");
}

function read({ faces, message }) {
  inView = !message && faces.length > 0;
  if (inView) picker.read(Math.max(...faces.map(({ smile }) => smile)), performance.now(), heard());
}

function tick() {
  const now = performance.now(), peak = picker.take(now);
  frames.forget(now);
  if (inView && !document.hidden) frames.take(now);
  if (!peak) return;
  const round = frames.round(peak.at);
  if (round.length >= FEWEST) found({ smile: peak.smile, joke: peak.note, at: peak.at, frames: round, file: null });
}

function found(best) {
  forget();
  moment = best;
  $("moment-joke").textContent = best.joke;
  $("moment-picture").setAttribute("aria-label", `Your best smile, ${percent(best.smile)} %`);
  $("moment").hidden = false;
  $("moment-save").hidden = $("moment-share").hidden = true;
  still();
  make();
}

async function make() {
  if (!moment || moment.file || document.hidden || making) return;
  const best = moment, mine = (making = new AbortController());
  say(`Your best smile yet, ${percent(best.smile)} %. The clip is being made…`);
  let blob = null;
  try {
    blob = await makeClip(best.frames, best.joke, mine.signal);
  } catch (error) {
    if (!mine.signal.aborted) say(`The clip can't be made in this browser (${error.name}).`);
  }
  if (making === mine) making = null;
  if (blob && best === moment) made(blob);
  else if (mine.signal.aborted) make(); // for a better one, or once the page is in sight again
}

function made(blob) {
  const end = blob.type === "video/mp4" ? "mp4" : "webm";
  moment.file = new File([blob], `smile-${stamp(new Date())}.${end}`, { type: blob.type });
  const link = $("moment-save");
  link.href = URL.createObjectURL(moment.file);
  link.download = moment.file.name;
  link.hidden = false;
  $("moment-share").hidden = !navigator.canShare?.({ files: [moment.file] });
  say(`Your best smile yet, ${percent(moment.smile)} %: the clip is ready.`);
}

// The picture that is nearest to the smile.
function still() {
  const away = ({ at }) => Math.abs(at - moment.at);
  const nearest = moment.frames.reduce((one, other) => (away(other) < away(one) ? other : one));
  drawFrame($("moment-picture"), nearest, moment.joke).catch(() => {});
}

async function replay() {
  playing?.abort();
  const mine = (playing = new AbortController());
  await play($("moment-picture"), moment.frames, moment.joke, mine.signal).catch(() => {});
  if (!mine.signal.aborted && moment) still();
}

async function share() {
  try {
    await navigator.share({ files: [moment.file], text: moment.joke });
  } catch (error) {
    if (error.name !== "AbortError") say("The clip can't be shared just now. Save it, and share it from there.");
  }
}

function remove() {
  forget();
  picker.anew();
  $("moment").hidden = true;
  say(taking ? `The clip is deleted. ${ON}` : "The clip is deleted.");
  $("moment-wanted").focus();
}

function forget() {
  making?.abort();
  making = null;
  playing?.abort();
  if (moment?.file) URL.revokeObjectURL($("moment-save").href);
  $("moment-save").removeAttribute("href");
  moment = null;
}

function say(words) {
  put($("moment-state"), words);
}
