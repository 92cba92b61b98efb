// Your best so far, alone, for each number of jokes. It stays in this browser.
import { keep, kept } from "../remembered.js";

const KEPT = "straight face";

// How many of `jokes` were survived; null: never played.
export function best(jokes) {
  const survived = all()[jokes];
  return Number.isInteger(survived) && survived >= 0 && survived <= jokes ? survived : null;
}

// Whether this is better than ever before.
export function noteBest(jokes, survived) {
  const before = best(jokes);
  if (before !== null && survived <= before) return false;
  keep(KEPT, JSON.stringify({ ...all(), [jokes]: survived }));
  return survived > 0;
}

export function forgetBest() {
  keep(KEPT, null);
}

function all() {
  try {
    return JSON.parse(kept(KEPT)) ?? {};
  } catch {
    return {};
  }
}
