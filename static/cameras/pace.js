// How large the pictures sent for analysis are, and how many go out a second: less of both while answers come slowly.

export const LEVELS = [ // `side`: pixels of the longer side; `everyMs`: at least, from one picture to the next
  { side: 640, everyMs: 50 },
  { side: 480, everyMs: 100 },
  { side: 320, everyMs: 200 },
  { side: 320, everyMs: 400 },
];
export const SLOW_MS = 120;
export const FAST_MS = 60;
const SLOWER_AFTER = 4; // answers at one level
const FASTER_AFTER = 30;
const MOST_PATIENCE = 16; // times FASTER_AFTER
const WEIGHT = 0.25; // of the newest answer; answers with a search of the whole picture take longer than those between

export class Pace {
  #level = 0;
  #mean = null;
  #answers = 0;
  #patience = 1; // grows each time that going faster did not work out

  get side() {
    return LEVELS[this.#level].side;
  }

  get everyMs() {
    return LEVELS[this.#level].everyMs;
  }

  answered(ms) {
    this.#answers += 1;
    this.#mean = this.#mean === null ? ms : (1 - WEIGHT) * this.#mean + WEIGHT * ms;
    if (this.#mean > SLOW_MS && this.#answers >= SLOWER_AFTER) {
      this.busy();
    } else if (this.#mean < FAST_MS && this.#answers >= FASTER_AFTER * this.#patience && this.#level > 0) {
      this.#change(-1);
    }
  }

  // The server is overloaded, or says so.
  busy() {
    if (this.#level < LEVELS.length - 1) {
      this.#patience = Math.min(2 * this.#patience, MOST_PATIENCE);
      this.#change(1);
    }
  }

  #change(by) {
    this.#level += by;
    this.#mean = null;
    this.#answers = 0;
  }
}
