// A list of jokes that is kept on the device, the newest first, with no joke twice. Where the browser keeps nothing it lasts as long as
// the page.
import { keep, kept } from "../remembered.js";

const same = (a) => (b) => a.id === b.id && a.source === b.source;

export class JokeList {
  #unkept = null;

  // `most`: jokes that it holds.
  constructor(name, most) {
    this.name = name;
    this.most = most;
    document.addEventListener("kept", () => (this.#unkept = null));
  }

  // [{id, source, text}, ...]. Another tab may have changed it, so it is read each time.
  get all() {
    return this.#unkept ?? read(kept(this.name));
  }

  get full() {
    return this.all.length >= this.most;
  }

  has(joke) {
    return this.all.some(same(joke));
  }

  // Where it is full, the oldest goes.
  add({ id, source, text }) {
    const others = this.all.filter((one) => !same({ id, source })(one));
    this.replace([{ id, source, text }, ...others].slice(0, this.most));
  }

  remove(joke) {
    this.replace(this.all.filter((one) => !same(joke)(one)));
  }

  clear() {
    this.replace([]);
  }

  replace(jokes) {
    this.#unkept = keep(this.name, jokes.length ? JSON.stringify(jokes) : null) ? null : jokes;
  }
}

// What is no list of ours counts as empty.
function read(text) {
  try {
    const jokes = JSON.parse(text ?? "[]");
    return jokes.filter((one) => ["id", "source", "text"].every((part) => typeof one?.[part] === "string"));
  } catch {
    return [];
  }
}

export const favourites = new JokeList("favourites", 100);
export const notFunny = new JokeList("not funny", 300);
