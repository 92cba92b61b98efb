// What the smile network sees in a box, as smile_recognition.py has it.
import { FACE, SMILE_RECOGNITION } from "./rules.js";
import { heightOf, widthOf } from "./boxes.js";
import { blurred, bordered, clamp, part, resized, round, warped } from "./pixels.js";

const SIZE = SMILE_RECOGNITION.CROP_SIZE;
const MOST = 16; // pictures in a box; a larger one is nearly all border

// Exactly the box, squeezed to a square.
export function cropFace(gray, box, size = SIZE) {
  const top = round(box.top), right = round(box.right), bottom = round(box.bottom), left = round(box.left);
  const { width, height } = gray;
  if (bottom - top > MOST * height || right - left > MOST * width) {
    const factor = Math.min(height / (bottom - top), width / (right - left)) * MOST;
    if (Math.min(height, width) * factor < 1) {
      return { data: new Uint8Array(size * size).fill(gray.data[0]), width: size, height: size };
    }
    const small = resized(gray, Math.max(1, round(width * factor)), Math.max(1, round(height * factor)), { area: true });
    return cropFace(small, { top: top * factor, right: right * factor, bottom: bottom * factor, left: left * factor }, size);
  }
  const y0 = clamp(top, 0, height - 1), y1 = Math.max(Math.min(bottom, height), 1);
  const x0 = clamp(left, 0, width - 1), x1 = Math.max(Math.min(right, width), 1);
  let inner = part(gray, x0, y0, x1 - x0, y1 - y0);
  const pads = [Math.min(Math.max(0, -top), bottom - top), Math.min(Math.max(0, bottom - height), bottom - top),
    Math.min(Math.max(0, -left), right - left), Math.min(Math.max(0, right - width), right - left)];
  if (pads.some(Boolean)) inner = bordered(inner, ...pads);
  return resized(inner, size, size, { area: inner.width > size || inner.height > size });
}

// The same for a box that leans by `angle` degrees clockwise: `{ crop, map }`, the map from its pixels to the picture's.
export function cropTilted(gray, { top, right, bottom, left }, angle, size = SIZE) {
  const cosine = Math.cos((angle * Math.PI) / 180), sine = Math.sin((angle * Math.PI) / 180);
  const scaleX = (right - left) / size, scaleY = (bottom - top) / size;
  const [a, b, c, d] = [cosine * scaleX, -sine * scaleY, sine * scaleX, cosine * scaleY];
  const x = (left + right) / 2, y = (top + bottom) / 2, middle = 0.5 - size / 2;
  const map = [a, b, x - 0.5 + (a + b) * middle, c, d, y - 0.5 + (c + d) * middle];
  const reach = Math.hypot(right - left, bottom - top) / 2 + 2;
  const x0 = Math.min(Math.max(0, Math.trunc(x - reach)), gray.width - 1);
  const y0 = Math.min(Math.max(0, Math.trunc(y - reach)), gray.height - 1);
  const x1 = Math.min(Math.max(1, Math.ceil(x + reach)), gray.width);
  const y1 = Math.min(Math.max(1, Math.ceil(y + reach)), gray.height);
  let source = part(gray, x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0));
  const shrink = Math.min(scaleX, scaleY);
  if (shrink >= SMILE_RECOGNITION.SMOOTHED_FROM) source = blurred(source, Math.trunc(shrink) | 1);
  return { crop: warped(source, [a, b, map[2] - x0, c, d, map[5] - y0], size), map };
}

export class SmileRecognizer {
  // `run(crop)`: the network's outputs for the pixels of one crop, in a promise.
  constructor(run) {
    this.run = run;
  }

  // A face: `{ id, box, smile, rawSmile, landmarks, presence, angle }`.
  async read(gray, box, angle = 0) {
    const whole = { top: round(box.top), right: round(box.right), bottom: round(box.bottom), left: round(box.left) };
    const tilted = angle ? cropTilted(gray, box, angle) : null;
    const outputs = await this.run((tilted?.crop ?? cropFace(gray, box)).data);
    const landmarks = FACE.LANDMARKS.map((_, i) => {
      const u = outputs[2 + 2 * i], v = outputs[3 + 2 * i];
      if (!tilted) return [u * widthOf(whole) + whole.left - 0.5, v * heightOf(whole) + whole.top - 0.5];
      const [a, b, x, c, d, y] = tilted.map, i0 = u * SIZE - 0.5, j0 = v * SIZE - 0.5;
      return [a * i0 + b * j0 + x, c * i0 + d * j0 + y];
    });
    return { id: 0, box: whole, smile: outputs[0], rawSmile: outputs[0], landmarks, presence: outputs[1], angle };
  }
}

// Whether a face that was there before still is.
export const isPresent = (face) => face.presence >= FACE.STILL_THERE;

const rounded = (value, digits) => round(value * 10 ** digits) / 10 ** digits;

// The face as the app's API tells it.
export function asJson({ id, box, smile, rawSmile, landmarks, neutral = null }) {
  const points = Object.fromEntries(FACE.LANDMARKS.map((name, i) => [name, landmarks[i].map((one) => rounded(one, 1))]));
  const label = smile >= FACE.SMILE_THRESHOLD ? "smile" : "no_smile";
  return { id, box, smile: rounded(smile, 4), raw_smile: rounded(rawSmile, 4), label, neutral: neutral && rounded(neutral, 4), landmarks: points };
}
