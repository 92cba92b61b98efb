// Follow a face from one frame to the next by the smile network alone, as faces/following.py does.
import { FACE, FOLLOWING } from "./rules.js";
import { align, centerOf, distance, heightOf, misfit, widthOf } from "./boxes.js";
import { logOdds } from "./odds.js";
import { flipped, part } from "./pixels.js";
import { isPresent } from "./recognizer.js";

// The face that had these landmarks a moment ago.
export async function follow(gray, landmarks, recognizer) {
  if (!landmarks.flat().every((value) => Math.abs(value) < FOLLOWING.FARTHEST)) {
    return { id: 0, box: { top: 0, right: 0, bottom: 0, left: 0 }, smile: 0, rawSmile: 0, landmarks, presence: 0, angle: 0 };
  }
  const { box, angle } = align(landmarks);
  return look(gray, box, angle, recognizer);
}

// What the network sees in the box; it looks again from the better place if that was far off.
export async function look(gray, box, angle, recognizer) {
  if (!inside(box, gray)) return { id: 0, box, smile: 0, rawSmile: 0, landmarks: FACE.LANDMARKS.map(() => [0, 0]), presence: 0, angle: 0 };
  let sight = await lookOnce(gray, box, angle, recognizer);
  if (isPresent(sight) && far(sight, box, angle) && inside(sight.box, gray)) {
    const again = await lookOnce(gray, sight.box, sight.angle, recognizer);
    sight = { ...again, presence: Math.min(sight.presence, again.presence) };
  }
  const ratio = heightOf(sight.box) / Math.max(1, heightOf(box));
  const possible = inside(sight.box, gray) && distance(sight.box, box) <= FOLLOWING.MOST_SHIFT &&
    ratio > 1 / FOLLOWING.MOST_SIZE && ratio < FOLLOWING.MOST_SIZE &&
    misfit(sight.landmarks, sight.box, sight.angle) <= FOLLOWING.MOST_MISFIT;
  return possible ? sight : { ...sight, presence: 0 };
}

// Whether two networks together are sure enough: what one of them doubts a little must be clear to the other.
export function mayBeAFace(presence, score) {
  const together = logOdds(score, FOLLOWING.CUT_OFF) + FOLLOWING.WEIGHT * logOdds(presence, FOLLOWING.CUT_OFF);
  return presence >= FACE.PRESENCE_THRESHOLD && together >= FOLLOWING.ENOUGH;
}

// Whether a face that the finder proposed with `score` and the network saw may be shown: a face stays one in a mirror.
export async function isSurelyAFace(gray, face, recognizer, score) {
  if (!mayBeAFace(face.presence, score)) return false;
  const across = Math.floor(Math.max(1, widthOf(face.box)) / 2), down = Math.floor(Math.max(1, heightOf(face.box)) / 2);
  const top = Math.max(0, face.box.top - down), bottom = Math.min(gray.height, face.box.bottom + down);
  const left = Math.max(0, face.box.left - across), right = Math.min(gray.width, face.box.right + across);
  const mirror = flipped(part(gray, left, top, right - left, bottom - top));
  const box = { top: face.box.top - top, right: right - face.box.left, bottom: face.box.bottom - top, left: right - face.box.right };
  return mayBeAFace((await recognizer.read(mirror, box, -face.angle)).presence, score);
}

async function lookOnce(gray, box, angle, recognizer) {
  const lean = Math.sign(angle) * Math.max(0, Math.abs(angle) - FOLLOWING.UPRIGHT);
  const face = await recognizer.read(gray, box, lean);
  return { ...face, ...align(face.landmarks) };
}

function far(sight, box, angle) {
  const ratio = heightOf(sight.box) / Math.max(1, heightOf(box));
  return distance(sight.box, box) > FOLLOWING.NEAR_SHIFT || ratio <= 1 / FOLLOWING.NEAR_SIZE || ratio >= FOLLOWING.NEAR_SIZE ||
    Math.abs(sight.angle - angle) > FOLLOWING.NEAR_ANGLE;
}

function inside(box, { width, height }) {
  const [x, y] = centerOf(box), tall = heightOf(box);
  return x >= 0 && x <= width && y >= 0 && y <= height && tall >= FOLLOWING.LEAST_HEIGHT &&
    tall <= FOLLOWING.MOST_HEIGHT * Math.max(width, height);
}
