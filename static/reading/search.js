// When and how finely whole frames are searched for faces, as visitors/turns.py has it.
import { TURNS } from "./rules.js";

export class TurnSearch {
  #searchedAt = -Infinity;
  #found = [];

  constructor(finder) {
    this.finder = finder;
  }

  // Searches unless it did so less than `pause` seconds ago. `smallest`: pixels.
  async ask(gray, now, pause, smallest = 0) {
    if (now - this.#searchedAt < pause) return false;
    this.#searchedAt = now;
    const least = Math.max(smallest, TURNS.SMALLEST, TURNS.SMALLEST_SHARE * Math.min(gray.height, 2 * gray.width));
    this.#found = await this.finder.candidates(gray, least);
    return true;
  }

  take() {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  forget() {
    this.#found = [];
    this.#searchedAt = -Infinity;
  }
}
