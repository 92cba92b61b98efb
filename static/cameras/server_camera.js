// The camera of the computer that runs the app: one picture stream and one event stream while it is watched.
import { at } from "../addresses.js";
import { Overlay } from "./overlay.js";
import { drawCurtain, openCurtain, show, showNothing } from "../meter/reading.js";

const RETRY_MS = 3000;
const ANSWER_MS = 5000;
const live = document.getElementById("live");

export class ServerCamera {
  // `onNoCamera`: called if there turns out to be no camera before any picture came; or null.
  constructor({ onNoCamera }) {
    this.onNoCamera = onNoCamera;
    this.events = null;
    this.retry = null;
    this.marks = new Overlay(document.getElementById("marks"), { marksOnly: true });
    this.marks.mirrored = false;
    live.addEventListener("error", () => {
      if (live.hasAttribute("src")) this.#lost("video_feed");
    });
  }

  resume() {
    this.pause();
    drawCurtain("Starting the camera…");
    this.#connect();
  }

  pause() {
    clearTimeout(this.retry);
    this.retry = null;
    this.events?.close();
    this.events = null;
    this.marks.show(null);
    live.removeAttribute("src"); // ends the picture stream, so that a hidden tab takes no place
  }

  stop() {
    this.pause();
  }

  #connect() {
    this.pause();
    live.src = `${at("video_feed")}?t=${Date.now()}`;
    this.events = new EventSource(at("events"));
    this.events.onmessage = (message) => this.#seen(JSON.parse(message.data));
    this.events.onerror = () => this.#lost("events");
  }

  async #seen(state) {
    if (!state.message) this.onNoCamera = null;
    else if (this.onNoCamera && (await this.#hasNoCamera())) return this.onNoCamera?.();
    if (!this.events) return; // left meanwhile
    if (state.message) drawCurtain(state.message); // over the app's own drawing of it, which has no letters of this page
    else openCurtain();
    if (live.width !== state.width || live.height !== state.height) {
      live.width = state.width; // the space that the picture takes before it has loaded
      live.height = state.height;
    }
    show(state);
    this.marks.show(state);
  }

  async #hasNoCamera() {
    const events = this.events;
    try {
      const health = await (await fetch(at("healthz"), { signal: AbortSignal.timeout(5000) })).json();
      return events === this.events && ["lost", "none"].includes(health.camera.status);
    } catch {
      return false;
    }
  }

  // `stream`: the path of the one that failed. Browsers don't say why it did, so the app is asked.
  async #lost(stream) {
    if (this.retry) return;
    this.pause();
    showNothing("No picture");
    const retry = (this.retry = setTimeout(() => this.#connect(), ANSWER_MS + RETRY_MS));
    const words = await whyLost(stream);
    if (this.retry !== retry) return; // left meanwhile
    clearTimeout(retry);
    drawCurtain(`${words} Trying again…`);
    this.retry = setTimeout(() => this.#connect(), RETRY_MS);
  }
}

async function whyLost(stream) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), ANSWER_MS);
  try {
    const response = await fetch(at(stream), { signal: stop.signal });
    return response.ok ? "The picture stopped." : (await response.json()).error;
  } catch {
    return "The app does not answer. Is it still running?";
  } finally {
    clearTimeout(timer);
    stop.abort(); // the head is enough
  }
}
