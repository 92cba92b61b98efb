// Asks the app for a joke that is not hidden on this device.
import { at } from "../addresses.js";
import { notFunny } from "../kept/joke_list.js";

export const AGAIN_MS = 3000; // until the next try
export const GONE = "Dad does not answer just now. Is the app still running? Trying again…";
export const HIDDEN = "Every joke that came is one you hid. Bring some back on the Jokes page, under Your jokes.";
const ANSWER_MS = 5000;
const MOST_ASKED = 40; // the app does not know what is hidden here, so it may propose such jokes

// {id, source, text}; null if there were too many requests at once. Throws HiddenError where all that came are hidden, and another
// error where the app does not answer.
export async function askJoke() {
  for (let i = 0; i < MOST_ASKED; i += 1) {
    const response = await fetch(at("api/v1/jokes/random"), { signal: AbortSignal.timeout(ANSWER_MS) });
    if (response.status === 429) return null;
    if (!response.ok) throw new Error(response.statusText);
    const joke = await response.json();
    if (!notFunny.has(joke)) return joke;
  }
  throw new HiddenError();
}

export class HiddenError extends Error {}
