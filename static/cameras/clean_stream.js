// The app's camera without boxes. Each part of the stream is a picture together with what was read in it, so that both can be
// shown in step. An <img> would hide when it shows which picture; so the stream is taken apart here.
import { at } from "../addresses.js";

const LONGEST_HEAD = 65_536;

// Takes the stream apart, however it was cut into chunks.
export class Parts {
  #bytes = new Uint8Array(0);

  // [{event, jpeg}, ...]: the parts that are whole now, and were not before. Throws SyntaxError if this is no such stream.
  feed(chunk) {
    this.#bytes = joined(this.#bytes, chunk);
    const parts = [];
    for (let part = this.#next(); part; part = this.#next()) parts.push(part);
    return parts;
  }

  #next() {
    const end = headEnd(this.#bytes);
    if (end < 0) {
      if (this.#bytes.length > LONGEST_HEAD) throw new SyntaxError("no head");
      return null;
    }
    const head = new TextDecoder().decode(this.#bytes.subarray(0, end));
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1]);
    const event = JSON.parse(/^x-event: *(.*)$/im.exec(head)?.[1] ?? "");
    if (!length) throw new SyntaxError("no length");
    const after = end + 4 + length + 2;
    if (this.#bytes.length < after) return null;
    const jpeg = this.#bytes.slice(end + 4, end + 4 + length);
    this.#bytes = this.#bytes.subarray(after);
    return { event, jpeg };
  }
}

function joined(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

// Where the empty line is that ends the head; -1 if it has not come yet.
function headEnd(bytes) {
  for (let i = bytes.indexOf(13); i >= 0 && i + 3 < bytes.length; i = bytes.indexOf(13, i + 1)) {
    if (bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i;
  }
  return -1;
}

export const canDraw = "createImageBitmap" in window && "body" in Response.prototype;

// Draws the stream onto `canvas` until `signal` aborts it; of pictures that came together, the newest. `onPicture(event)` is
// called in the same step in which its picture appears. Ends, or throws, when there are no more pictures.
export async function watchClean(canvas, signal, onPicture) {
  const response = await fetch(`${at("video_feed")}?boxes=0`, { headers: { Accept: "multipart/mixed" }, signal });
  if (!response.ok) throw new Error(String(response.status));
  const reader = response.body.getReader(), parts = new Parts();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const newest = parts.feed(value).at(-1);
    if (newest) await draw(canvas, newest, signal, onPicture);
  }
}

async function draw(canvas, { event, jpeg }, signal, onPicture) {
  const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  if (!signal.aborted) {
    if (canvas.width !== picture.width) canvas.width = picture.width;
    if (canvas.height !== picture.height) canvas.height = picture.height;
    canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
    onPicture(event);
    canvas.dataset.frame = event.frame;
  }
  picture.close();
}
