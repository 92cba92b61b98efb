// The page: one picture stream and one event stream while it can be seen, none while it is hidden.
"use strict";

const RETRY_MS = 3000;
const $ = (id) => document.getElementById(id);
const live = $("live"), curtain = $("curtain");
let events = null, retry = null, lastWords = "", lastWordsAt = -Infinity;

function connect() {
  disconnect();
  live.src = `/video_feed?t=${Date.now()}`;
  events = new EventSource("/events");
  events.onmessage = (message) => show(JSON.parse(message.data));
  events.onerror = () => lost("The app does not answer. Is it still running? Trying again…");
}

function disconnect() {
  clearTimeout(retry);
  retry = null;
  if (events) events.close();
  events = null;
  live.removeAttribute("src"); // ends the picture stream, so that a hidden tab takes no place
}

function lost(words) {
  if (retry) return;
  disconnect();
  curtain.textContent = words;
  curtain.hidden = false;
  showMeter(null, "No picture");
  $("faces").textContent = "No picture";
  $("fps").textContent = "";
  retry = setTimeout(connect, RETRY_MS);
}

function show(state) {
  curtain.hidden = true;
  if (live.width !== state.width || live.height !== state.height) {
    live.width = state.width; // the space that the picture takes before it has loaded
    live.height = state.height;
  }
  const count = state.faces.length;
  $("faces").textContent = state.message || (count === 1 ? "1 face" : `${count || "No"} faces`);
  $("fps").textContent = state.fps ? `${state.fps.toFixed(0)} pictures a second` : "";
  const biggest = state.faces[0];
  if (state.message) showMeter(null, "No picture");
  else if (!biggest) showMeter(null, "Show your face to the camera");
  else showMeter(biggest.smile, biggest.label === "smile" ? "That is a smile!" : "Not smiling yet");
}

function showMeter(smile, verdict) {
  const percent = smile === null ? 0 : Math.floor(smile * 100 + 1e-6);
  const bend = 60 + 0.7 * percent; // a straight mouth at 0 %, a grin at 100 %
  $("mouth").setAttribute("d", `M30 60 Q100 ${bend.toFixed(1)} 170 60`);
  $("bar").value = percent;
  $("percent").textContent = smile === null ? "–" : `${percent} %`;
  $("verdict").textContent = verdict;
  $("meter").setAttribute("aria-valuenow", percent);
  $("meter").setAttribute("aria-valuetext", smile === null ? verdict : `${percent} percent`);
  document.body.classList.toggle("smiling", smile !== null && smile >= 0.5);
  // A screen reader hears a change of verdict, at most every two seconds.
  if (verdict !== lastWords && performance.now() - lastWordsAt > 2000) {
    lastWords = verdict;
    lastWordsAt = performance.now();
    $("announcement").textContent = verdict;
  }
}

let asking = false;
async function anotherJoke() {
  if (asking) return;
  asking = true;
  try {
    const response = await fetch("/api/v1/jokes/random", { signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(response.statusText);
    const joke = await response.json();
    $("joke").textContent = joke.text;
    $("joke").dataset.id = joke.id;
    $("told-by").textContent = joke.source === "icanhazdadjoke" ? "icanhazdadjoke.com" : "this app's own dad";
  } catch {
    $("joke").textContent = "Dad does not answer just now. Is the app still running?";
  } finally {
    asking = false;
  }
}

$("another").addEventListener("click", anotherJoke);
document.addEventListener("keydown", (event) => {
  const busy = event.target.closest?.("button, a, input, select, textarea, summary");
  if (event.code !== "Space" || event.repeat || event.ctrlKey || event.metaKey || event.altKey || busy) return;
  event.preventDefault();
  anotherJoke();
});
live.addEventListener("error", () => {
  if (live.hasAttribute("src")) lost("The picture can't be shown just now; all places may be taken. Trying again…");
});
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
window.addEventListener("pagehide", disconnect);
window.addEventListener("pageshow", (event) => { if (event.persisted && !document.hidden) connect(); });
if (!document.hidden) connect(); // a tab opened in the background leaves the camera alone
