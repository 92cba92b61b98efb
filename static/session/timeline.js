// The last minute on the kitchen's chalkboard: a line for each face, gaps where there was no reading, and a mark for each joke.
import { badge, mark, svg } from "../people/badges.js";
import { LASTS_MS, SmileHistory } from "./smile_history.js";

const DRAWN_EVERY_MS = 250;
const STEP_MS = 2000; // for people who want less motion
const FEWEST = 3; // a face with fewer readings is not drawn; it was mostly none
const TOP = 26, RIGHT = 26; // pixels of the chart's margins; left and below they grow with the letters
const chart = document.getElementById("chart"), words = document.getElementById("minute");
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
let past = new SmileHistory();
let before = null; // what `bringBackTimeline` brings back; it goes on until then
let drawnAt = -Infinity, begunAt = -Infinity;

export function startTimeline() {
  begunAt = performance.now();
  document.addEventListener("joke", () => note((one) => one.heard(performance.now())));
  setInterval(() => draw(), DRAWN_EVERY_MS);
  new ResizeObserver(() => draw({ atOnce: true })).observe(chart);
}

// `faces`: [{slot, smile}, ...].
export function noteFaces(faces) {
  note((one) => one.read(performance.now(), faces));
}

function note(what) {
  for (const one of [past, before]) if (one) what(one);
}

// The last minute begins anew.
export function clearTimeline() {
  before = past;
  past = new SmileHistory();
  begunAt = performance.now();
  draw({ atOnce: true });
}

export function bringBackTimeline() {
  past = before ?? past;
  before = null;
  draw({ atOnce: true });
}

function draw({ atOnce = false } = {}) {
  const now = performance.now();
  if (document.hidden || (!atOnce && now - drawnAt < (still.matches ? STEP_MS : 0))) return;
  drawnAt = now;
  tellWords(say(past.summary(now), now - begunAt < LASTS_MS));
  const { clientWidth: width, clientHeight: height } = chart;
  if (!width || !height) return; // folded
  const letter = parseFloat(getComputedStyle(chart).fontSize);
  const left = 3.9 * letter, right = width - RIGHT, bottom = height - 1.6 * letter;
  const x = (time) => right - ((now - time) / LASTS_MS) * (right - left);
  const y = (smile) => bottom - smile * (bottom - TOP);
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const lines = faces(now, x, y);
  const middle = { class: "empty", x: (left + right) / 2, y: y(0.25), "text-anchor": "middle" };
  const none = lines.length ? [] : [svg("text", middle, "Smile, and the line goes up.")];
  chart.replaceChildren(...grid(left, right, height, y), ...jokes(now, x, bottom), ...lines, ...none);
}

function tellWords(sentence) {
  if (words.textContent === sentence) return;
  words.textContent = sentence;
  chart.setAttribute("aria-label", `Chart. ${sentence}`);
}

// `young`: there was no whole minute yet.
export function say({ seen, smiled, highest, jokes }, young = false) {
  if (!seen && !highest) return young ? "Nobody was seen yet." : "Nobody was seen in the last minute.";
  const told = jokes ? `, ${jokes} ${jokes === 1 ? "joke" : "jokes"}` : "";
  const seconds = Math.round(smiled);
  return `Last minute: smiled ${seconds} ${seconds === 1 ? "second" : "seconds"}, highest ${Math.floor(100 * highest + 1e-6)} %${told}.`;
}

function grid(left, right, height, y) {
  const parts = [];
  for (const smile of [0, 0.5, 1]) {
    const name = smile === 0.5 ? "half" : "edge";
    parts.push(svg("path", { class: name, d: `M${left.toFixed(1)} ${y(smile).toFixed(1)}H${right}` }));
    const place = { x: (left - 8).toFixed(1), y: y(smile).toFixed(1), "text-anchor": "end", "dominant-baseline": "central" };
    parts.push(svg("text", place, `${100 * smile} %`));
  }
  const times = [[left, "60 s ago", "start"], [(left + right) / 2, "30 s", "middle"], [right + 18, "now", "end"]];
  for (const [at, words, anchor] of times) {
    parts.push(svg("text", { x: at.toFixed(1), y: height - 4, "text-anchor": anchor }, words));
  }
  return parts;
}

function jokes(now, x, bottom) {
  return past.jokes(now).map((time) => {
    const at = x(time).toFixed(1);
    const bubble = svg("path", { class: "bubble", d: "M-9-8h18v12h-11l-4 5v-5h-3z", transform: `translate(${at} 11)` });
    return svg("g", { class: "joke-mark" }, svg("path", { d: `M${at} 20V${bottom}` }), bubble);
  });
}

function faces(now, x, y) {
  const long = ([, pieces]) => pieces.flat().length >= FEWEST;
  const lines = [...past.lines(now)].filter(long).sort(([a], [b]) => b - a); // the first one on top
  const several = lines.length > 1;
  return lines.flatMap(([slot, pieces]) => {
    const { color, dash } = mark(several ? slot : 4); // a single face is chalk yellow
    const d = pieces.map((piece) => path(piece, x, y)).join("");
    const parts = [svg("path", { class: "line", d, stroke: color, "stroke-dasharray": several ? dash : "" })];
    const [time, smile] = pieces.at(-1).at(-1);
    const place = `translate(${(x(time) - 9).toFixed(1)} ${(y(smile) - 9).toFixed(1)}) scale(.75)`;
    if (several) parts.push(svg("g", { transform: place }, badge(slot)));
    else parts.push(svg("circle", { cx: x(time).toFixed(1), cy: y(smile).toFixed(1), r: 5, fill: color }));
    return parts;
  });
}

function path(piece, x, y) {
  const points = piece.map(([time, smile]) => `${x(time).toFixed(1)} ${y(smile).toFixed(1)}`);
  return `M${points[0]}${points.length > 1 ? `L${points.slice(1).join(" ")}` : "h.1"}`;
}
