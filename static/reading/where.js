// Where the visitor's pictures are read: on this device, or on the app's computer. The choice is kept on the device.
import { put } from "../put.js";
import { keep, kept } from "../remembered.js";
import { deviceFiles, whyNotHere } from "./device.js";

export const SLOW_PER_S = 5;
const SLOW_FOR_MS = 3000;
const KEPT = "reading", USUAL = "device";
const PROMISES = {
  device: "Your camera's pictures are read here, on this device. They never leave it.",
  computer: "Your camera's pictures go to the computer that runs this app. It looks at them in memory and forgets them at once. " +
    "They are never stored, and nobody else sees them.",
};
const SHORT = { device: "Your pictures never leave this device.", computer: "Your pictures are never stored." };
const WORDS = {
  device: "Pictures never leave this device. Reading them here takes a download of 4 MB, once.",
  computer: "Pictures go to the app's computer, which forgets them at once. Good for slow phones.",
};
const SLOW = {
  device: "This device reads fewer than five pictures a second. The app's computer may be faster.",
  computer: "The app's computer answers fewer than five times a second. This device may be faster.",
};
const $ = (id) => document.getElementById(id);

export class Where {
  #way = "computer";
  #slowSince = null;

  // `onChange`: called when the visitor chooses the other way.
  constructor(onChange) {
    for (const one of this.#switches) {
      one.addEventListener("change", () => {
        this.#choose(one.value);
        keep(KEPT, one.value === USUAL ? null : one.value);
        onChange();
      });
    }
    document.addEventListener("kept", () => {
      if ($("reading").hidden || this.#way === chosen()) return;
      this.#choose(chosen());
      onChange();
    });
    this.ready = this.#begin();
  }

  get onDevice() {
    return this.#way === "device";
  }

  // How many pictures a second are read just now. Proposes the other way after some seconds of too few.
  measured(perSecond, now = performance.now()) {
    if (!perSecond || $("reading").hidden) return;
    if (perSecond >= SLOW_PER_S) this.#slowSince = null;
    else this.#slowSince ??= now;
    const slow = this.#slowSince !== null && now - this.#slowSince >= SLOW_FOR_MS;
    const words = slow ? SLOW[this.#way] : "";
    if (words || this.#slowSince === null) say(words);
  }

  get #switches() {
    return [...document.querySelectorAll("input[name=reading]")];
  }

  async #begin() {
    this.#choose("computer");
    if (!(await deviceFiles())) return;
    if (whyNotHere()) {
      $("promise").textContent = `${whyNotHere()} ${PROMISES.computer}`;
      return;
    }
    $("reading").hidden = false;
    this.#choose(chosen());
  }

  #choose(way) {
    this.#way = way;
    this.#slowSince = null;
    for (const one of this.#switches) one.checked = one.value === way;
    document.body.dataset.reading = way;
    $("promise").textContent = PROMISES[way];
    $("promise-short").textContent = SHORT[way];
    $("reading-words").textContent = WORDS[way];
    say("");
  }
}

const chosen = () => (kept(KEPT) === "computer" ? "computer" : USUAL);

function say(words) {
  put($("reading-slow"), words);
}
