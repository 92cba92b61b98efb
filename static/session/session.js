// The session's sums on the page, and the table to download. They are kept here, in the page, and nowhere else.
import { download, stamp } from "../download.js";
import { points } from "../jokes/lift.js";
import { percent } from "../meter/percent.js";
import { put } from "../put.js";
import { SessionStats } from "./session_stats.js";
import { bringBackTimeline, clearTimeline } from "./timeline.js";

const EVERY_MS = 500;
const UNDO_MS = 30_000;
const $ = (id) => document.getElementById(id);
let told = {}; // the joke that was told last: {id, text}
let stats = new SessionStats();
let before = null; // the session that "Undo" would bring back; it counts on until then
let undoTimer = null;

export function startSession() {
  document.addEventListener("joke", ({ detail }) => {
    told = { id: detail.id, text: $("joke").textContent.trim() };
    count((one) => one.heard(told.text));
  });
  document.addEventListener("reaction", ({ detail }) => {
    if (detail.id === told.id) count((one) => one.reacted(told.text, detail));
    draw();
  });
  $("download").addEventListener("click", () =>
    download(new Blob([stats.csv()], { type: "text/csv;charset=utf-8" }), `smiles-${stamp(new Date())}.csv`));
  $("anew").addEventListener("click", startOver);
  $("anew-undo").addEventListener("click", undo);
  setInterval(draw, EVERY_MS);
  draw();
}

// `faces`: [{slot, smile}, ...].
export function countFaces(faces) {
  count((one) => one.read(performance.now(), faces));
}

function count(note) {
  for (const one of [stats, before]) if (one) note(one);
}

function startOver() {
  before = stats;
  stats = new SessionStats();
  clearTimeline();
  clearTimeout(undoTimer);
  undoTimer = setTimeout(() => {
    forget();
    document.dispatchEvent(new Event("anew")); // it can't come back
  }, UNDO_MS);
  $("anew-undo").hidden = false;
  draw();
  $("session-news").textContent = "All numbers begin at zero again. Undo brings them back.";
}

function undo() {
  stats = before;
  bringBackTimeline();
  forget();
  draw();
  $("session-news").textContent = "The session is back.";
}

function forget() {
  clearTimeout(undoTimer);
  before = null;
  const focused = document.activeElement === $("anew-undo");
  $("anew-undo").hidden = true;
  if (focused) $("anew").focus();
}

function draw() {
  const { watched, smiled, smiles, best, jokes, funniest, rows } = stats.summary;
  put($("watched"), clock(watched));
  put($("smiled"), clock(smiled));
  put($("smiles"), String(smiles));
  put($("best"), rows ? `${percent(best)} %` : "–");
  put($("heard"), String(jokes));
  put($("session-short"), rows ? `${smiles} ${smiles === 1 ? "smile" : "smiles"}, best ${percent(best)} %` : "");
  $("download").disabled = !rows;
  $("funniest").hidden = !funniest;
  $("no-funniest").hidden = Boolean(funniest);
  if (!funniest) return;
  put($("funniest-joke"), funniest.text);
  put($("funniest-lift"), `${points(funniest.lift)} points`);
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}
