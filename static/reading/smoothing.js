// Filters over time, as faces/smoothing.py has them: positions that neither tremble nor lag, a label that does not flicker.
import { FACE, SMOOTHING } from "./rules.js";

const JUST_BELOW = FACE.SMILE_THRESHOLD - Number.EPSILON / 4;

// Smooths points: strongly while they rest, hardly at all while they move. All points share one cutoff.
export class OneEuroFilter {
  #points = null;
  #raw = null;
  #velocity = null;

  // The smoothed points, `elapsed` seconds after the last ones; `unit`: the length that speed is measured in.
  next(points, elapsed, unit) {
    if (!this.#points || elapsed <= 0) {
      this.#points = this.#raw = points;
      this.#velocity = points.map(() => [0, 0]);
      return points;
    }
    const follow = weight(SMOOTHING.SPEED_CUTOFF, elapsed);
    this.#velocity = mixed(this.#velocity, points.map((point, i) => point.map((one, k) => (one - this.#raw[i][k]) / (elapsed * unit))), follow);
    this.#raw = points;
    const speed = Math.sqrt(this.#velocity.reduce((sum, [x, y]) => sum + x * x + y * y, 0) / points.length);
    this.#points = mixed(this.#points, points, weight(SMOOTHING.MIN_CUTOFF + SMOOTHING.BETA * speed, elapsed));
    return this.#points;
  }

  reset() {
    this.#points = null;
  }
}

// P(smile) over time, with hysteresis about one half.
export class SmoothedSmile {
  #mean = null;
  #smiling = false;

  next(raw, elapsed) {
    if (this.#mean === null) {
      this.#mean = raw;
      this.#smiling = raw >= FACE.SMILE_THRESHOLD;
      return raw;
    }
    this.#mean += (1 - Math.exp(-Math.max(0, elapsed) / SMOOTHING.TIME_CONSTANT)) * (raw - this.#mean);
    this.#smiling = this.#mean >= FACE.SMILE_THRESHOLD + (this.#smiling ? -SMOOTHING.BAND : SMOOTHING.BAND);
    return this.#smiling ? Math.max(this.#mean, FACE.SMILE_THRESHOLD) : Math.min(this.#mean, JUST_BELOW);
  }
}

// From `a` towards `b` by `share`, for points.
export function mixed(a, b, share) {
  return a.map((point, i) => point.map((one, k) => one + share * (b[i][k] - one)));
}

function weight(cutoff, elapsed) {
  return 1 / (1 + 1 / (2 * Math.PI * cutoff * elapsed));
}
