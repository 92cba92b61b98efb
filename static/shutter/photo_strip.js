// The pictures that were taken, the newest first. They are only in this tab's memory until they are downloaded.
import { download, stamp } from "../download.js";
import { printStrip } from "./shutter_print.js";

export const MOST = 12;
const THUMBNAIL = 360; // pixels wide
const UNDO_MS = 10_000;
const $ = (id) => document.getElementById(id);

export class PhotoStrip {
  #photos = []; // {number, blob, joke, at, address, saved, item}, the oldest first
  #taken = 0;
  #removed = []; // can be brought back
  #undoTimer = null;
  #warning = false;
  #printing = false;

  // `say(words)`: tells what happened. `onEmpty()`: the last picture went, and the focus needs another place.
  constructor({ say, onEmpty }) {
    this.say = say;
    this.onEmpty = onEmpty;
    $("strip-save").addEventListener("click", () => this.#saveStrip());
    $("strip-clear").addEventListener("click", () => this.#remove([...this.#photos]));
    $("strip-undo").addEventListener("click", () => this.#undo());
  }

  get full() {
    return this.#photos.length >= MOST;
  }

  // `canvas`: the picture; it is not changed. `joke`: what got the smile. Returns the picture's number once it is in the strip; 0 if it can't be kept.
  async add(canvas, joke) {
    const at = new Date();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    if (!blob || this.full) return 0;
    this.#forgetRemoved();
    const photo = { number: ++this.#taken, blob, joke, at, address: "", saved: false, item: null };
    photo.item = this.#draw(photo, canvas);
    this.#photos.push(photo);
    const list = $("strip-photos");
    list.prepend(photo.item);
    if (!list.contains(document.activeElement)) list.scrollLeft = 0; // the newest in sight
    this.#changed();
    return photo.number;
  }

  #draw(photo, canvas) {
    const item = $("strip-photo").content.cloneNode(true).firstElementChild;
    const thumbnail = item.querySelector("canvas");
    thumbnail.width = THUMBNAIL;
    thumbnail.height = Math.round((THUMBNAIL * canvas.height) / canvas.width);
    thumbnail.getContext("2d").drawImage(canvas, 0, 0, thumbnail.width, thumbnail.height);
    thumbnail.setAttribute("aria-label", `Picture ${photo.number}, taken at ${photo.at.toLocaleTimeString()}`);
    const link = item.querySelector("a");
    link.download = `smile-${stamp(photo.at)}.jpg`;
    link.setAttribute("aria-label", `Download picture ${photo.number}`);
    photo.address = link.href = URL.createObjectURL(photo.blob);
    link.addEventListener("click", () => {
      photo.saved = true;
      item.classList.add("saved");
      this.#changed();
    });
    const remove = item.querySelector("button");
    remove.setAttribute("aria-label", `Delete picture ${photo.number}`);
    remove.addEventListener("click", () => this.#remove([photo]));
    return item;
  }

  #remove(photos) {
    this.#forgetRemoved();
    const next = photos[0].item.nextElementSibling ?? photos[0].item.previousElementSibling;
    for (const photo of photos) {
      URL.revokeObjectURL(photo.address);
      photo.item.remove();
    }
    this.#photos = this.#photos.filter((photo) => !photos.includes(photo));
    this.#removed = photos;
    this.#undoTimer = setTimeout(() => this.#forgetRemoved(), UNDO_MS);
    this.#changed();
    this.say(photos.length === 1 ? `Picture ${photos[0].number} deleted.` : `${photos.length} pictures deleted.`);
    if (this.#photos.length) (next?.querySelector("button") ?? $("strip-save")).focus();
    else $("strip-undo").focus();
  }

  #undo() {
    const back = this.#removed;
    this.#removed = [];
    this.#forgetRemoved();
    for (const photo of back) {
      photo.address = photo.item.querySelector("a").href = URL.createObjectURL(photo.blob);
      this.#photos.push(photo);
    }
    this.#photos.sort((a, b) => a.number - b.number);
    $("strip-photos").replaceChildren(...this.#photos.map((photo) => photo.item).reverse());
    this.#changed();
    this.say(back.length === 1 ? `Picture ${back[0].number} is back.` : `${back.length} pictures are back.`);
    back.at(-1)?.item.querySelector("a").focus();
  }

  #forgetRemoved() {
    clearTimeout(this.#undoTimer);
    const focused = document.activeElement === $("strip-undo");
    this.#removed = [];
    this.#changed();
    if (focused) this.#photos.length ? $("strip-save").focus() : this.onEmpty();
  }

  async #saveStrip() {
    if (this.#printing) return;
    this.#printing = true;
    const photos = [...this.#photos];
    const { at } = photos.at(-1);
    const date = at.toLocaleDateString(undefined, { dateStyle: "long" });
    try {
      download(await printStrip(photos, date), `smiles-${stamp(at)}.jpg`);
      for (const photo of photos) photo.saved = true;
      this.#changed();
      this.say(`The strip with ${photos.length} ${photos.length === 1 ? "picture" : "pictures"} is downloaded.`);
    } catch {
      this.say("The strip can't be made. Download the pictures one by one.");
    } finally {
      this.#printing = false;
    }
  }

  #changed() {
    $("strip-count").textContent = `${this.#photos.length} of ${MOST}`;
    $("strip-photos").hidden = $("strip-save").hidden = $("strip-clear").hidden = !this.#photos.length;
    $("strip-undo").hidden = !this.#removed.length;
    $("strip").hidden = !this.#photos.length && !this.#removed.length;
    // The browser asks before it leaves the page only if something would be lost.
    const warning = this.#photos.some((photo) => !photo.saved);
    if (warning === this.#warning) return;
    this.#warning = warning;
    if (warning) window.addEventListener("beforeunload", askFirst);
    else window.removeEventListener("beforeunload", askFirst);
  }
}

function askFirst(event) {
  event.preventDefault();
}
