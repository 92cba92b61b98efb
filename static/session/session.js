// The session's sums on the page, and the table to download. They are kept here, in the page, and nowhere else.
import { points } from "../jokes/lift.js";
import { SessionStats } from "./session_stats.js";

const EVERY_MS = 500;
const $ = (id) => document.getElementById(id);
let told = {}; // the joke that was told last: {id, text}
let stats = new SessionStats();

export function startSession() {
  document.addEventListener("joke", ({ detail }) => {
    stats.heard(detail.id);
    told = { id: detail.id, text: $("joke").textContent.trim() };
  });
  document.addEventListener("reaction", ({ detail }) => {
    if (detail.id === told.id) stats.reacted(told.text, detail);
    draw();
  });
  $("download").addEventListener("click", download);
  $("anew").addEventListener("click", () => {
    stats = new SessionStats();
    draw();
    $("session-news").textContent = "All numbers begin at zero again.";
  });
  setInterval(draw, EVERY_MS);
  draw();
}

// `faces`: [{slot, smile}, ...].
export function countFaces(faces) {
  stats.read(performance.now(), faces);
}

function draw() {
  const { watched, smiled, smiles, best, jokes, funniest, rows } = stats.summary;
  put("watched", clock(watched));
  put("smiled", clock(smiled));
  put("smiles", String(smiles));
  put("best", rows ? `${Math.floor(100 * best + 1e-6)} %` : "–");
  put("heard", String(jokes));
  $("download").disabled = !rows;
  $("funniest").hidden = !funniest;
  $("no-funniest").hidden = Boolean(funniest);
  if (!funniest) return;
  put("funniest-joke", funniest.text);
  put("funniest-lift", `${points(funniest.lift)} points`);
}

function put(id, words) {
  if ($(id).textContent !== words) $(id).textContent = words;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

function download() {
  const address = URL.createObjectURL(new Blob([stats.csv()], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  const now = new Date();
  const stamp = new Date(now - 60_000 * now.getTimezoneOffset()).toISOString().slice(0, 16).replace("T", "-").replace(":", "");
  link.href = address;
  link.download = `smiles-${stamp}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
