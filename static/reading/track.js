// One face over time, as faces/track.py has it.
import { TRACK } from "./rules.js";
import { shifted } from "./boxes.js";
import { round } from "./pixels.js";
import { cropTilted } from "./recognizer.js";
import { OneEuroFilter, SmoothedSmile } from "./smoothing.js";

export class Track {
  velocity = [0, 0]; // pixels a second
  course = [0, 0]; // the same, over a longer time
  steady = new OneEuroFilter();
  smile = new SmoothedSmile();
  portraits = [];
  portraitAt = -Infinity;
  likeAt = -Infinity; // when it last looked as before, or the finder saw it, too
  missed = false; // looked for since it was seen, and not found

  constructor(face, sight, now) {
    this.face = face; // as it is shown
    this.sight = sight; // the last one, as it was read
    this.seenAt = this.triedAt = now;
  }

  hidden(now) {
    return now - this.seenAt > (this.missed ? TRACK.SHOWN_AFTER_S : TRACK.COAST_S);
  }

  // By how many pixels the face has probably moved since it was seen.
  movedBy(now) {
    const time = Math.min(now - this.seenAt, TRACK.COAST_S);
    return (this.hidden(now) ? this.course : this.velocity).map((one) => one * time);
  }

  expected(now) {
    const [dx, dy] = this.movedBy(now);
    return shifted(this.sight.box, round(dx), round(dy));
  }

  // -1 to 1: how much the face looked like this portrait lately.
  likeness(portrait) {
    return this.portraits.length ? Math.max(...this.portraits.map((mine) => correlation(mine, portrait))) : 1;
  }

  remember(portrait, now) {
    this.portraits = [...this.portraits, portrait].slice(-TRACK.PORTRAITS);
    this.portraitAt = now;
  }
}

// The upper, calmer part of the upright face, small.
export function portraitOf(gray, { box, angle }) {
  return cropTilted(gray, box, angle, TRACK.PORTRAIT).crop.data.subarray(0, TRACK.PORTRAIT_SHAPE[0] * TRACK.PORTRAIT_SHAPE[1]);
}

// -1 to 1; 0 if one has no contrast.
export function correlation(a, b) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanA = mean(a), meanB = mean(b);
  let product = 0, squaresA = 0, squaresB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] - meanA, y = b[i] - meanB;
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  const norm = Math.sqrt(squaresA * squaresB);
  return norm > 1e-6 ? product / norm : 0;
}
