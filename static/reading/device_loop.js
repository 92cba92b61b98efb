// Reads the frames of a <video> on this device, one at a time. No picture leaves it.
import { nextFrame, pause, Rate, shownFrame } from "../cameras/frames.js";
import { DeviceReader } from "./device.js";
import { CARRIED } from "./rules.js";

const SIDE = 640; // pixels of the longer side at most
const RETRY_MS = 2000;
const LOADING = "Loading what reads your pictures on this device…";
const NOT_LOADED = "What reads your pictures on this device can't be loaded just now. Trying again… You can also have them read on " +
  "the app's computer.";
const FAILED = "Reading on this device failed. Trying again… You can also have your pictures read on the app's computer.";
const STILL = "Your camera sends no picture just now. Waiting for it…";

// `onAnswer(answer, fps)`: what was read, and readings a second. `onTrouble(words)`: why nothing is; another try follows.
export class DeviceLoop {
  #stopping = new AbortController();
  #reader = null;
  #rate = new Rate();
  #clock = 0; // seconds of the stream, which go on where they were after a pause
  #readAt = null;

  constructor(video, { onAnswer, onTrouble }) {
    this.video = video;
    this.onAnswer = onAnswer;
    this.onTrouble = onTrouble;
  }

  async run() {
    let known = -1;
    while (!this.#stopped) {
      if (!this.#reader && !(await this.#load())) continue;
      const came = await nextFrame(this.video, known, this.#stopping.signal);
      if (this.#stopped) return;
      if (!came) {
        this.#trouble(STILL);
        continue;
      }
      known = shownFrame(this.video);
      await this.#readOne();
    }
  }

  stop() {
    this.#stopping.abort();
    this.#drop();
  }

  get #stopped() {
    return this.#stopping.signal.aborted;
  }

  async #load() {
    const reader = (this.#reader = new DeviceReader());
    const patience = setTimeout(() => this.#trouble(LOADING), 500);
    try {
      await reader.load();
      return true;
    } catch {
      if (this.#stopped) return false;
      this.#drop();
      this.#trouble(NOT_LOADED);
      await pause(RETRY_MS, this.#stopping.signal);
      return false;
    } finally {
      clearTimeout(patience);
    }
  }

  async #readOne() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth || !videoHeight) return;
    const scale = Math.min(1, SIDE / Math.max(videoWidth, videoHeight));
    const size = { resizeWidth: Math.max(1, Math.round(videoWidth * scale)), resizeHeight: Math.max(1, Math.round(videoHeight * scale)) };
    let answer;
    try {
      const picture = await createImageBitmap(this.video, scale < 1 ? { ...size, resizeQuality: "medium" } : {});
      answer = await this.#reader.frame(picture, this.#now());
    } catch {
      if (this.#stopped) return;
      this.#drop();
      this.#trouble(FAILED);
      await pause(RETRY_MS, this.#stopping.signal);
      return;
    }
    if (!this.#stopped) this.onAnswer(answer, this.#rate.count());
  }

  #now() {
    const now = performance.now() / 1000;
    const step = this.#readAt === null ? 0 : now - this.#readAt;
    this.#readAt = now;
    this.#clock += Math.min(Math.max(step, CARRIED.SHORTEST_STEP_S), CARRIED.LONGEST_STEP_S);
    return this.#clock;
  }

  #drop() {
    this.#reader?.close();
    this.#reader = null;
  }

  #trouble(words) {
    if (this.#stopped) return;
    this.#rate.forget();
    this.onTrouble(words);
  }
}
