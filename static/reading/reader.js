// The reader in its worker: pictures come in as messages, faces go back. Nothing else leaves it.
import { FaceFinder } from "./finder.js";
import { loadNetworks } from "./networks.js";
import { analyzePhoto } from "./photo.js";
import { grayOf } from "./pixels.js";
import { SmileRecognizer, asJson } from "./recognizer.js";
import { FaceTracker } from "./tracking.js";

let finder, recognizer, tracker;
let size = "";

const answers = {
  async load({ files }) {
    const { readCrop, findIn } = await loadNetworks(files);
    finder = new FaceFinder(findIn);
    recognizer = new SmileRecognizer(readCrop);
    tracker = new FaceTracker(finder, recognizer);
    await findIn(new Uint8Array(160 * 128), 160, 128); // the first run of each takes longer
    await readCrop(new Uint8Array(64 * 64));
    return {};
  },

  // The next frame of a stream, at `at` seconds.
  async frame({ picture, at }) {
    const gray = grayFrom(picture);
    if (size !== `${gray.width}x${gray.height}`) tracker.forget(); // as when a phone is turned
    size = `${gray.width}x${gray.height}`;
    return told(gray, await tracker.update(gray, at));
  },

  async photo({ picture }) {
    const gray = grayFrom(picture);
    return told(gray, await analyzePhoto(gray, finder, recognizer));
  },
};

function told({ width, height }, faces) {
  return { width, height, faces: faces.map(asJson) };
}

// An ImageBitmap, which is used up, or `{ rgba, width, height }`.
function grayFrom(picture) {
  const { width, height } = picture;
  if (picture.rgba) return grayOf(picture.rgba, width, height);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, alpha: false });
  context.drawImage(picture, 0, 0);
  picture.close();
  return grayOf(context.getImageData(0, 0, width, height).data, width, height);
}

// One after the other: the tracker takes one frame at a time.
let last = Promise.resolve();
export function answer({ id, kind, ...given }) {
  last = last.then(async () => {
    const began = performance.now();
    try {
      const answer = await answers[kind](given);
      postMessage({ id, answer: { ...answer, elapsed_ms: performance.now() - began } });
    } catch (error) {
      postMessage({ id, error: String(error) });
    }
  });
}
