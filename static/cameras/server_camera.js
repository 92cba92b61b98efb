// The camera of the computer that runs the app: one picture stream and one event stream while it is watched. The boxes are drawn
// here; a browser that can't take the stream apart shows the app's own drawing of them in an <img>.
import { at } from "../addresses.js";
import { canDraw, watchClean } from "./clean_stream.js";
import { Overlay } from "./overlay.js";
import { drawCurtain, nothing, openCurtain } from "./words.js";

const RETRY_MS = 3000;
const ANSWER_MS = 5000;
const live = document.getElementById("live"), clean = document.getElementById("clean");

export class ServerCamera {
  // `show(state, noReading)`: takes readings. `onNoCamera`: called if there turns out to be no camera before any picture came; or null.
  constructor({ show, onNoCamera }) {
    this.show = show;
    this.onNoCamera = onNoCamera;
    this.events = null;
    this.retry = null;
    this.watching = null; // ends the clean stream
    this.marks = new Overlay(document.getElementById("marks"));
    this.marks.mirrored = false;
    this.#draws(canDraw);
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
    this.watching?.abort(); // ends the picture stream, so that a hidden tab takes no place
    this.watching = null;
    live.removeAttribute("src"); // and so does this
    delete clean.dataset.frame;
    clean.width = clean.width; // forgets the picture
  }

  stop() {
    this.pause();
  }

  #connect() {
    this.pause();
    if (clean.hidden) live.src = `${at("video_feed")}?t=${Date.now()}`;
    else this.#watchClean();
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
    this.show(state);
    if (clean.hidden) this.marks.show(state);
  }

  // Whether boxes are drawn here.
  #draws(here) {
    live.hidden = here;
    clean.hidden = !here;
    this.marks.marksOnly = !here;
  }

  async #watchClean() {
    const watching = (this.watching = new AbortController());
    try {
      await watchClean(clean, watching.signal, (event) => this.marks.show(event));
    } catch (error) {
      if (watching.signal.aborted) return;
      if (error instanceof SyntaxError) { // something on the way has changed the stream
        this.#draws(false);
        return this.#connect();
      }
    }
    if (!watching.signal.aborted) this.#lost("video_feed");
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
    this.show(nothing("No picture"));
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
