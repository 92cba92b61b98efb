// When the smile shutter fires. This needs no page and no clock: every reading comes with its time in milliseconds.

export const SMILES_FROM = 0.5; // P(smile), as on the picture's labels
export const SMILES_UNTIL = 0.4; // a smile that began ends only below this
export const HOLD_MS = 500; // everyone must smile that long
export const MOST_A_GAP_COUNTS_MS = 400; // nobody knows what happened in a longer gap between two readings
export const STALE_MS = 1000; // after so long without a reading, the last one is out of date
export const LOST_MS = 400; // a face that is missing for less than this is still in view
export const FORGIVEN_MS = 150; // a dip that short only halts the countdown
export const OVER_MS = 300; // once not everyone has smiled for that long, the photographed smile is over
export const PAUSE_MS = 2000; // at least, between two pictures

// Off until armed. Then `waiting` for smiles, `holding` while everyone smiles, and after a picture off again or, with
// `keepGoing`, `resting` until that smile is over.
export class ShutterTiming {
  keepGoing = false; // stays armed after a picture
  #state = "off";
  #people = new Map(); // by the face's number: {smiling, seenAt}
  #readAt = -Infinity;
  #everyone = false; // smiled at the last reading
  #everyoneAt = -Infinity;
  #held = 0; // ms
  #firedAt = -Infinity;
  #notEveryoneSince = null;
  #over = false;

  get state() {
    return this.#state;
  }

  get inView() {
    return this.#people.size;
  }

  get smiling() {
    return [...this.#people.values()].filter((person) => person.smiling).length;
  }

  // Of the countdown, 0 to 1.
  get progress() {
    return Math.min(1, this.#held / HOLD_MS);
  }

  // Whether the last reading is too old, or there was none.
  isBlind(now) {
    return now - this.#readAt > STALE_MS;
  }

  arm() {
    this.#forget();
    this.#state = "waiting";
  }

  disarm() {
    this.#forget();
    this.#state = "off";
  }

  // Takes one reading and returns whether to take the picture now. `faces`: [{id, smile}, ...] of everyone in view, or null
  // if nothing could be read.
  read(faces, now) {
    if (this.#state === "off") return false;
    if (faces === null || this.isBlind(now)) this.#forget();
    if (faces === null) return false;
    const gap = now - this.#readAt;
    this.#readAt = now;
    this.#lookAt(faces, now);
    const people = [...this.#people.values()];
    const someoneDoesNot = !people.length || people.some((person) => !person.smiling);
    // A face that is missing for a moment neither counts nor spoils anything.
    const everyone = !someoneDoesNot && people.every((person) => person.seenAt === now);
    const smiledOn = everyone && this.#everyone;
    this.#everyone = everyone;
    if (this.#state === "resting") this.#rest(everyone, someoneDoesNot, now);
    if (this.#state !== "resting") {
      if (smiledOn) this.#held += Math.min(gap, MOST_A_GAP_COUNTS_MS);
      else if (!people.length || (someoneDoesNot && now - this.#everyoneAt > FORGIVEN_MS)) this.#held = 0;
      this.#state = everyone || this.#held ? "holding" : "waiting";
    }
    if (everyone) this.#everyoneAt = now;
    return this.#held >= HOLD_MS && this.#fire(now);
  }

  // Call this now and then, so that the countdown does not stand still for ever if readings stop.
  tick(now) {
    if (this.#held && this.isBlind(now)) this.#forget();
  }

  #lookAt(faces, now) {
    for (const { id, smile } of faces) {
      const smiled = this.#people.get(id)?.smiling ?? false;
      this.#people.set(id, { smiling: smile >= (smiled ? SMILES_UNTIL : SMILES_FROM), seenAt: now });
    }
    for (const [id, { seenAt }] of this.#people) {
      if (now - seenAt > LOST_MS) this.#people.delete(id);
    }
  }

  #rest(everyone, someoneDoesNot, now) {
    if (everyone) this.#notEveryoneSince = null;
    else if (someoneDoesNot) this.#notEveryoneSince ??= now;
    if (this.#notEveryoneSince !== null && now - this.#notEveryoneSince >= OVER_MS) this.#over = true;
    if (this.#over && now - this.#firedAt >= PAUSE_MS) this.#state = "waiting";
  }

  #fire(now) {
    this.#held = 0;
    this.#firedAt = now;
    this.#over = false;
    this.#notEveryoneSince = null;
    if (this.keepGoing) this.#state = "resting";
    else this.disarm();
    return true;
  }

  // Forgets what was seen, but not that a picture was taken: that smile may still go on.
  #forget() {
    this.#people.clear();
    this.#readAt = -Infinity;
    this.#everyone = false;
    this.#everyoneAt = -Infinity;
    this.#held = 0;
    this.#notEveryoneSince = null;
    if (this.#state === "holding") this.#state = "waiting";
  }
}
