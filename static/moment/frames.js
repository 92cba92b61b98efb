// The last seconds' pictures, as small JPEGs: a few megabytes at most. Nothing is older than `KEPT_MS`.
import { copyPicture, hasPicture } from "../cameras/picture.js";
import { AFTER_MS, BEFORE_MS } from "./moment_picker.js";

export const PER_SECOND = 15;
const SIDE = 640; // at most so many pixels for the longer side
const KEPT_MS = BEFORE_MS + AFTER_MS + 500;

export class Frames {
  #kept = []; // {at, blob}, the oldest first
  #whole = document.createElement("canvas");
  #small = document.createElement("canvas");
  #busy = false;
  #round = 0; // grows when all are forgotten: a picture that is still being made then is, too

  get length() {
    return this.#kept.length;
  }

  // Takes the picture that is shown now. A device that is too slow takes fewer.
  async take(now) {
    if (this.#busy || !hasPicture()) return;
    this.#busy = true;
    try {
      this.#draw();
      const round = this.#round;
      const blob = await new Promise((done) => this.#small.toBlob(done, "image/jpeg", 0.85));
      if (blob && round === this.#round) this.add({ at: now, blob });
    } finally {
      this.#busy = false;
    }
  }

  #draw() {
    const { width, height } = copyPicture(this.#whole), scale = Math.min(1, SIDE / Math.max(width, height));
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#small.width !== w || this.#small.height !== h) {
      this.clear(); // a clip has one size
      this.#small.width = w;
      this.#small.height = h;
    }
    this.#small.getContext("2d", { alpha: false }).drawImage(this.#whole, 0, 0, w, h);
  }

  add(frame) {
    this.#kept.push(frame);
    this.forget(frame.at);
  }

  // Call this often, so that pictures go when no new ones come.
  forget(now) {
    this.#kept = this.#kept.filter(({ at }) => now - at <= KEPT_MS);
  }

  // Those round the time `at`.
  round(at) {
    return this.#kept.filter((frame) => frame.at >= at - BEFORE_MS && frame.at <= at + AFTER_MS);
  }

  clear() {
    this.#kept = [];
    this.#round += 1;
  }
}
