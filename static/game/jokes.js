// Jokes for a game, each another one as far as there are enough.
import { AGAIN_MS, askJoke, GONE, HIDDEN, HiddenError } from "../jokes/asking.js";
import { splitJoke } from "../jokes/joke_parts.js";
import { notFunny } from "../kept/joke_list.js";

const TRIES = 5; // for a joke that was not told in this game

export class Jokes {
  #told = new Set();
  #asking = false;
  #againAt = -Infinity;
  #hidden = null; // so many jokes were hidden here when none was left

  // `onJoke({id, source, text, setUp, punchline})`: another joke. `onTrouble(words)`: why none comes; "" if Dad answers.
  constructor({ onJoke, onTrouble }) {
    this.onJoke = onJoke;
    this.onTrouble = onTrouble;
  }

  // A new game begins.
  forget() {
    this.#told.clear();
    this.#hidden = null;
    this.onTrouble("");
  }

  async ask() {
    if (this.#asking || performance.now() < this.#againAt) return;
    if (this.#hidden !== null && this.#hidden === notFunny.all.length) return;
    this.#hidden = null;
    this.#asking = true;
    try {
      let joke = await askJoke();
      for (let i = 1; i < TRIES && joke && this.#told.has(joke.id); i += 1) joke = await askJoke();
      this.onTrouble("");
      if (joke) this.#tell(joke);
      else this.#againAt = performance.now() + AGAIN_MS; // too many requests at once
    } catch (error) {
      if (error instanceof HiddenError) this.#hidden = notFunny.all.length;
      else this.#againAt = performance.now() + AGAIN_MS;
      this.onTrouble(error instanceof HiddenError ? HIDDEN : GONE);
    } finally {
      this.#asking = false;
    }
  }

  #tell(joke) {
    this.#told.add(joke.id);
    const [setUp, punchline] = splitJoke(joke.text);
    this.onJoke({ ...joke, setUp, punchline });
  }
}
