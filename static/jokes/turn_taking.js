// When it is Dad's turn again. This needs no page and no clock: every reading comes with its time in milliseconds.
const RISES = 0.5, EBBS = 0.4; // as for the shutter
const EBBED_MS = 1000; // a smile is over after so long below
const LEAST_MS = 4000; // a joke needs so long to do what it does
export const QUIET_MS = 20_000; // without a smile
const LONGEST_MS = 40_000; // with one that does not end
const MOST_A_GAP_COUNTS_MS = 1000; // nobody knows what happened in a longer one

export class TurnTaking {
  #listening = false; // a joke was told to its end
  #waited = 0; // ms with somebody in view
  #rose = false;
  #below = 0; // ms since the smile ebbed
  #readAt = null;

  // Dad has the floor.
  telling() {
    this.#listening = false;
  }

  told() {
    this.#listening = true;
    this.#rose = false;
    this.#waited = this.#below = 0;
  }

  // Whether the next joke is due. `smile`: of the biggest face, 0 to 1; null: nobody is there, and nothing is told to nobody.
  read(smile, now) {
    const gap = Math.min(now - (this.#readAt ?? now), MOST_A_GAP_COUNTS_MS);
    this.#readAt = now;
    if (!this.#listening || smile === null) return false;
    this.#waited += gap;
    if (smile >= RISES) [this.#rose, this.#below] = [true, 0];
    else if (smile < EBBS) this.#below += gap;
    const due = this.#rose ? this.#below >= EBBED_MS || this.#waited >= LONGEST_MS : this.#waited >= QUIET_MS;
    if (!due || this.#waited < LEAST_MS) return false;
    this.told(); // should none come, one is due again later
    return true;
  }
}
