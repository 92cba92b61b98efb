// Filters over time, as faces/smoothing.py has them: positions that neither tremble nor lag, a label that does not flicker.
import { FACE, SMOOTHING } from "./rules.js";
import { logOdds, probability } from "./odds.js";

const JUST_BELOW = FACE.SMILE_THRESHOLD * (1 - Number.EPSILON / 2);

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

// P(smile) over time, and a label that changes when there is enough evidence; what counts is how far a face is above where it rests.
export class SmoothedSmile {
  #mean = null;
  #evidence = 0;
  #neutral = 0;
  #smiling = false;

  next(raw, elapsed) {
    const odds = within(logOdds(raw), SMOOTHING.SUREST);
    if (this.#mean === null) {
      this.#mean = raw;
      this.#evidence = SMOOTHING.ENOUGH * within(odds, 1);
      this.#neutral = odds;
      this.#smiling = raw >= FACE.SMILE_THRESHOLD;
      return raw;
    }
    elapsed = Math.max(0, elapsed);
    // Higher readings of a smiling face are its smile, and no new neutral.
    if (!this.#smiling || odds <= Math.max(this.#neutral, SMOOTHING.RESTING)) {
      const pace = odds < this.#neutral ? SMOOTHING.FALLS : SMOOTHING.RISES;
      this.#neutral += (1 - Math.exp(-elapsed / pace)) * (odds - this.#neutral);
    }
    const line = lineOf(this.#neutral);
    const now = probability(logOdds(raw) - line);
    this.#mean += (1 - Math.exp(-elapsed / SMOOTHING.TIME_CONSTANT)) * (now - this.#mean);
    this.#evidence = within(this.#evidence + (odds - line) * Math.min(elapsed, SMOOTHING.LONGEST), SMOOTHING.ENOUGH);
    this.#smiling = this.#smiling ? this.#evidence > -SMOOTHING.ENOUGH : this.#evidence >= SMOOTHING.ENOUGH;
    return this.#smiling ? Math.max(this.#mean, FACE.SMILE_THRESHOLD) : Math.min(this.#mean, JUST_BELOW);
  }

  // The probability at which the face rests, counted as the smoothed one is.
  get neutral() {
    return probability(this.#neutral - lineOf(this.#neutral));
  }
}

// The log-odds from which on a face that rests at `neutral` smiles.
function lineOf(neutral) {
  return Math.min(Math.max(1 + neutral, 0), 1) * Math.min(Math.max(1.5 - neutral, 0), 1);
}

function within(value, most) {
  return Math.min(Math.max(value, -most), most);
}

// From `a` towards `b` by `share`, for points.
export function mixed(a, b, share) {
  return a.map((point, i) => point.map((one, k) => one + share * (b[i][k] - one)));
}

function weight(cutoff, elapsed) {
  return 1 / (1 + 1 / (2 * Math.PI * cutoff * elapsed));
}
