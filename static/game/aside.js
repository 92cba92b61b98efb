// Faces that don't play, by their numbers. This needs no page and no clock.
import { RESTARTED_MS } from "./players.js";

export class Aside {
  #ids = new Set();
  #camera = null;
  #readAt = -Infinity;

  // Before each reading of faces. A camera that begins anew numbers them anew: then nobody is left out.
  read(camera, now) {
    if (camera !== this.#camera || now - this.#readAt > RESTARTED_MS) this.#ids.clear();
    this.#camera = camera;
    this.#readAt = now;
  }

  has(id) {
    return this.#ids.has(id);
  }

  set(id, plays) {
    if (plays) this.#ids.delete(id);
    else this.#ids.add(id);
  }
}
