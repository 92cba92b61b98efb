// Whether this device can read pictures itself, and the reader that does it.
import { at } from "../addresses.js";

const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);
const LOADING_MS = 60_000, ANSWER_MS = 20_000;
let listed = null;

// The addresses of runtime and networks, by name; null where the app does not serve them.
export function deviceFiles() {
  listed ??= fetch(at("device.json"), { signal: AbortSignal.timeout(10_000) })
    .then((response) => (response.ok ? response.json() : {}))
    .then(({ files }) => files ?? null)
    .catch(() => {
      listed = null; // asked anew next time
      return null;
    });
  return listed;
}

// Why this browser can't read pictures, in words; empty if it can.
export function whyNotHere() {
  const can = typeof Worker === "function" && typeof OffscreenCanvas === "function" && typeof createImageBitmap === "function" &&
    typeof WebAssembly === "object" && WebAssembly.validate(SIMD);
  return can ? "" : "This browser can't read pictures itself; a current Firefox, Chrome, Edge or Safari can.";
}

export class DeviceReader {
  #worker = new Worker(at("static/reading/worker.js"));
  #waiting = new Map();
  #next = 1;

  constructor() {
    this.#worker.onmessage = ({ data: { id, answer, error } }) => this.#settle(id, answer, error);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const id of this.#waiting.keys()) this.#settle(id, null, event.message || "the worker did not start");
    };
  }

  async load() {
    const files = await deviceFiles();
    if (!files) throw new Error("the app does not serve the runtime");
    const absolute = Object.fromEntries(Object.entries(files).map(([name, path]) => [name, new URL(at(path), location.href).href]));
    return this.#ask({ kind: "load", files: absolute }, [], LOADING_MS);
  }

  // `{ width, height, faces, elapsed_ms }` of the next frame of a stream. `picture`: an ImageBitmap, which is used up.
  frame(picture, seconds) {
    return this.#ask({ kind: "frame", picture, at: seconds }, [picture], ANSWER_MS);
  }

  photo(picture) {
    return this.#ask({ kind: "photo", picture }, [picture], LOADING_MS);
  }

  close() {
    this.#worker.terminate();
    for (const id of this.#waiting.keys()) this.#settle(id, null, "closed");
  }

  #ask(message, transfer, patience) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, null, "no answer in time"), patience);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#worker.postMessage({ id, ...message }, transfer);
    });
  }

  #settle(id, answer, error) {
    const one = this.#waiting.get(id);
    if (!one) return;
    this.#waiting.delete(id);
    clearTimeout(one.timer);
    if (error) one.reject(new Error(error));
    else one.resolve(answer);
  }
}
