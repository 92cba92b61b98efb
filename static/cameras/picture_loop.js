// Sends pictures of a <video> to the app, one at a time, each with the answer to the previous one.
import { at } from "../addresses.js";
import { nextFrame, pause, Rate, shownFrame } from "./frames.js";
import { Pace } from "./pace.js";

const ADDRESS = at("api/v1/analyze");
const QUALITY = 0.8;
const ANSWER_TIMEOUT_MS = 15_000;
const RETRY_MS = 2000;
const GONE = "The app does not answer. Is it still running? Trying again…";
const LATER = { // the answers by which the app asks for fewer pictures, and what the page says then
  429: "Too many pictures come from your network just now. Trying again…",
  503: "The app is busy just now. Trying again…",
};
const LONGEST_WAIT_MS = 3_600_000;
const STILL = "Your camera sends no picture just now. Waiting for it…";

// `onAnswer(answer, fps)`: the app's answer, and answers a second. `onTrouble(words)`: why there is no answer; another try
// follows.
export class PictureLoop {
  #stopping = new AbortController();
  #canvas = document.createElement("canvas");
  #pace = new Pace();
  #previous = {};
  #rate = new Rate();
  #sentFrame = -1; // which one was sent last

  constructor(video, { onAnswer, onTrouble }) {
    this.video = video;
    this.onAnswer = onAnswer;
    this.onTrouble = onTrouble;
  }

  async run() {
    let due = 0;
    while (!this.#stopped) {
      await pause(due - performance.now(), this.#stopping.signal);
      const came = await nextFrame(this.video, this.#sentFrame, this.#stopping.signal);
      if (this.#stopped) return;
      if (!came) {
        this.#trouble(STILL);
        continue;
      }
      const began = performance.now();
      const rest = await this.#sendOne();
      due = Math.max(began + this.#pace.everyMs, performance.now() + rest);
    }
  }

  // Gives up the request under way and drops its answer.
  stop() {
    this.#stopping.abort();
  }

  get #stopped() {
    return this.#stopping.signal.aborted;
  }

  // Milliseconds to wait before the next try.
  async #sendOne() {
    const jpeg = await this.#jpeg();
    if (this.#stopped || !jpeg) return 0;
    const sent = performance.now();
    let response, answer;
    try {
      response = await this.#post(jpeg);
      answer = response.ok ? await response.json() : await response.json().catch(() => ({}));
    } catch {
      this.#trouble(GONE);
      return RETRY_MS;
    }
    if (response.ok) {
      this.#pace.answered(performance.now() - sent);
      this.#answered(answer);
      return 0;
    }
    if (response.status in LATER) {
      this.#pace.busy();
      this.#trouble(LATER[response.status]);
      return waitMs(response.headers.get("Retry-After"));
    }
    this.#previous = {}; // in case this is what the app could not read
    this.#trouble(`${answer.error ?? "The app could not read a picture."} Trying again…`);
    return RETRY_MS;
  }

  async #post(jpeg) {
    const form = new FormData();
    form.append("image", jpeg, "picture.jpg");
    form.append("previous", JSON.stringify(this.#previous));
    const giveUp = new AbortController();
    const end = () => giveUp.abort();
    const timer = setTimeout(end, ANSWER_TIMEOUT_MS);
    this.#stopping.signal.addEventListener("abort", end);
    try {
      const response = await fetch(ADDRESS, { method: "POST", body: form, signal: giveUp.signal });
      const text = await response.text(); // also within the time limit
      return new Response(text, { status: response.status, headers: response.headers });
    } finally {
      clearTimeout(timer);
      this.#stopping.signal.removeEventListener("abort", end);
    }
  }

  #answered(answer) {
    if (this.#stopped) return;
    this.#previous = { state: answer.state };
    this.onAnswer(answer, this.#rate.count());
  }

  #trouble(words) {
    if (this.#stopped) return;
    this.#rate.forget();
    this.onTrouble(words);
  }

  // The newest frame as a JPEG, no larger than the pace allows; null if there is none. Never mirrored.
  #jpeg() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth || !videoHeight) return null;
    const scale = Math.min(1, this.#pace.side / Math.max(videoWidth, videoHeight));
    const width = Math.max(1, Math.round(videoWidth * scale));
    const height = Math.max(1, Math.round(videoHeight * scale));
    this.#sentFrame = shownFrame(this.video);
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, width, height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }
}

// Milliseconds to wait for a Retry-After in seconds, plus up to half as much, so that pages don't all come back at once.
export function waitMs(retryAfter) {
  const seconds = Number(retryAfter);
  const ms = seconds > 0 ? 1000 * seconds : 1000;
  return Math.min(ms * (1 + Math.random() / 2), LONGEST_WAIT_MS);
}
