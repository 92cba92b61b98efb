// Jokes for a game, each another one as far as there are enough.
import { at } from "../addresses.js";
import { splitJoke } from "../jokes/joke_parts.js";

const ANSWER_MS = 5000, AGAIN_MS = 3000;
const TRIES = 5; // for a joke that was not told in this game

export class Jokes {
  #told = new Set();
  #asking = false;
  #againAt = -Infinity;

  // `onJoke({id, source, text, setUp, punchline})`: another joke. `onTrouble(whether)`: whether Dad does not answer.
  constructor({ onJoke, onTrouble }) {
    this.onJoke = onJoke;
    this.onTrouble = onTrouble;
  }

  forget() {
    this.#told.clear();
  }

  async ask() {
    if (this.#asking || performance.now() < this.#againAt) return;
    this.#asking = true;
    try {
      let joke = await fetched();
      for (let i = 1; i < TRIES && this.#told.has(joke.id); i += 1) joke = await fetched();
      this.#told.add(joke.id);
      const [setUp, punchline] = splitJoke(joke.text);
      this.onTrouble(false);
      this.onJoke({ ...joke, setUp, punchline });
    } catch {
      this.#againAt = performance.now() + AGAIN_MS;
      this.onTrouble(true);
    } finally {
      this.#asking = false;
    }
  }
}

async function fetched() {
  const response = await fetch(at("api/v1/jokes/random"), { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!response.ok) throw new Error(response.statusText);
  return response.json();
}
