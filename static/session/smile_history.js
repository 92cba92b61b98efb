// The last minute's smiles. Memory is bounded: five readings a second, of the faces that have a line of their own.
import { SHOWN } from "../people/face_slots.js";

export const LASTS_MS = 60_000;
export const LONGEST_GAP_MS = 1500; // a longer one is drawn as a gap, and counts for nothing
const EVERY_MS = 200;

export class SmileHistory {
  #readings = []; // {time, faces: [[slot, smile], ...]}
  #jokes = []; // times

  // `faces`: [{slot, smile}, ...] in view at `now`, in milliseconds; empty when there are none or they can't be read.
  read(now, faces) {
    const last = this.#readings.at(-1);
    if (last && now - last.time < EVERY_MS) return;
    this.#readings.push({ time: now, faces: faces.filter(({ slot }) => slot <= SHOWN).map(({ slot, smile }) => [slot, smile]) });
    this.#forget(now);
  }

  heard(now) {
    this.#jokes.push(now);
    this.#forget(now);
  }

  get length() {
    return this.#readings.length;
  }

  // Times of the jokes told in the minute before `now`.
  jokes(now) {
    return this.#jokes.filter((time) => now - time <= LASTS_MS);
  }

  // One line for each slot that was seen: Map slot -> [[[time, smile], ...], ...], in pieces where it was away.
  lines(now) {
    const lines = new Map();
    const oldest = now - LASTS_MS;
    for (const { time, faces } of this.#readings) {
      if (time < oldest) continue;
      for (const [slot, smile] of faces) {
        if (!lines.has(slot)) lines.set(slot, []);
        const pieces = lines.get(slot);
        const previous = pieces.at(-1)?.at(-1);
        if (previous && time - previous[0] <= LONGEST_GAP_MS) pieces.at(-1).push([time, smile]);
        else pieces.push([[time, smile]]);
      }
    }
    return lines;
  }

  // {seen, smiled: seconds with a face, with a smiling one; highest: 0 to 1, jokes: how many} in the minute before `now`.
  summary(now) {
    const inTime = this.#readings.filter(({ time }) => now - time <= LASTS_MS);
    let seen = 0, smiled = 0, highest = 0, before = null;
    for (const { time, faces } of inTime) {
      const best = Math.max(0, ...faces.map(([, smile]) => smile));
      highest = Math.max(highest, best);
      const gap = before === null ? Infinity : time - before;
      before = time;
      if (!faces.length || gap > LONGEST_GAP_MS) continue;
      seen += gap;
      if (best >= 0.5) smiled += gap;
    }
    return { seen: seen / 1000, smiled: smiled / 1000, highest, jokes: this.jokes(now).length };
  }

  #forget(now) {
    const oldest = now - LASTS_MS - LONGEST_GAP_MS;
    while (this.#readings.length && this.#readings[0].time < oldest) this.#readings.shift();
    while (this.#jokes.length && this.#jokes[0] < oldest) this.#jokes.shift();
  }
}
