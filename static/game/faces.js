// One player's face: how it rests, and when it smiles. This needs no page and no clock: every reading comes with its time in
// milliseconds.
const HOLD_MS = 400; // who smiles for so long is out
const MOST_A_GAP_COUNTS_MS = 250; // nobody knows what happened in a longer gap between two readings
const FORGIVEN_MS = 150; // a dip that short only halts the count
const FORGOTTEN_MS = 1000; // after a gap that long nothing is left of a smile before it
const EBB = 0.1; // a smile that began ends only so far below its limit
const REST_MS = 1500; // of a face that does not smile make its rest
const ENOUGH = 3; // readings
const PATIENCE_MS = 6000; // some faces read as a smile while they rest

// From which P(smile) on a face smiles that rests at `neutral`: half of the way from there to a full smile. For most faces that
// is hardly more than one half, from where on a face is labelled a smile.
export function limitOf(neutral) {
  return neutral + (1 - neutral) / 2;
}

// A resting face, from its readings.
export class Rest {
  neutral = null; // P(smile), once it is known
  grins = false; // smiled within the readings that count
  #readings = []; // [time, smile, label], those that count
  #lowest = Infinity;
  #begunAt = null;

  read({ smile, label }, now) {
    this.#begunAt ??= now;
    this.#readings = [...this.#readings.filter(([at]) => now - at <= REST_MS), [now, smile, label]];
    this.grins = this.#readings.some(([, , one]) => one === "smile");
    if (now - this.#readings[0][0] < 0.8 * REST_MS || this.#readings.length < ENOUGH) return;
    this.#lowest = Math.min(this.#lowest, median(this.#readings.map(([, one]) => one)));
    if (!this.grins || now - this.#begunAt >= PATIENCE_MS) this.neutral ??= this.#lowest;
  }
}

// How long a face has smiled.
export class Hold {
  #limit;
  #ms = 0;
  #smiles = false;
  #smiledAt = -Infinity;
  #readAt = -Infinity;

  constructor(limit) {
    this.#limit = limit;
  }

  // Of the time after which it is out, 0 to 1.
  get progress() {
    return Math.min(1, this.#ms / HOLD_MS);
  }

  // Takes a reading and returns whether the face has smiled for long enough.
  read({ smile, label }, now) {
    const gap = now - this.#readAt;
    if (gap > FORGOTTEN_MS) this.forget();
    const before = this.#smiles;
    this.#smiles = label === "smile" && smile >= this.#limit - (before ? EBB : 0);
    if (this.#smiles && before) this.#ms += Math.min(gap, MOST_A_GAP_COUNTS_MS);
    else if (!this.#smiles && now - this.#smiledAt > FORGIVEN_MS) this.#ms = 0;
    if (this.#smiles) this.#smiledAt = now;
    this.#readAt = now;
    return this.#ms >= HOLD_MS;
  }

  forget() {
    this.#ms = 0;
    this.#smiles = false;
    this.#smiledAt = this.#readAt = -Infinity;
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
