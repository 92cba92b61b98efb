// Which three seconds are the moment: those round the best smile so far. This needs no page and no clock: every reading comes with its
// time in milliseconds.
export const BEFORE_MS = 1500, AFTER_MS = 1500;
const SMILES_FROM = 0.5; // as everywhere
const BETTER = 0.01; // a smile that is hardly better is no new moment

export class MomentPicker {
  #best = 0;
  #peak = null; // {smile, at, ...}, whose seconds are not over

  // `smile`: the best one in view, 0 to 1. `note`: what goes with it.
  read(smile, now, note = null) {
    const record = Math.max(this.#best, this.#peak?.smile ?? 0);
    if (smile >= SMILES_FROM && smile >= record + BETTER) this.#peak = { smile, at: now, note };
  }

  // The moment whose seconds are over, {smile, at, note}, once; else null.
  take(now) {
    if (!this.#peak || now - this.#peak.at < AFTER_MS) return null;
    const peak = this.#peak;
    this.#peak = null;
    this.#best = peak.smile;
    return peak;
  }

  // Nothing more comes of a smile that has just been.
  drop() {
    this.#peak = null;
  }

  // From now on the next smile is the best so far.
  anew() {
    this.#best = 0;
    this.drop();
  }
}
