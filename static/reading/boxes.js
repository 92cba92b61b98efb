// Boxes `{ top, right, bottom, left }` in pixels, and landmarks `[[x, y], ...]`, as common/face.py and faces/alignment.py
// have them.
import { ALIGNMENT } from "./rules.js";
import { round } from "./pixels.js";

export const heightOf = (box) => box.bottom - box.top;
export const widthOf = (box) => box.right - box.left;
export const areaOf = (box) => Math.max(0, widthOf(box)) * Math.max(0, heightOf(box));
export const centerOf = (box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2];

export function shifted(box, dx, dy) {
  return { top: box.top + dy, right: box.right + dx, bottom: box.bottom + dy, left: box.left + dx };
}

export function squareAround(x, y, half) {
  return { top: round(y - half), right: round(x + half), bottom: round(y + half), left: round(x - half) };
}

// Intersection over union, 0 to 1.
export function iou(a, b) {
  const inner = {
    top: Math.max(a.top, b.top), right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom), left: Math.max(a.left, b.left),
  };
  if (widthOf(inner) <= 0 || heightOf(inner) <= 0) return 0;
  return areaOf(inner) / (areaOf(a) + areaOf(b) - areaOf(inner));
}

// The distance between two centres, in heights of the larger box.
export function distance(a, b) {
  const [x, y] = centerOf(a), [u, v] = centerOf(b);
  return Math.hypot(x - u, y - v) / Math.max(1, heightOf(a), heightOf(b));
}

export function meanOf(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

const typicalMean = meanOf(ALIGNMENT.TYPICAL_LANDMARKS);

// The box before turning, and the lean in degrees clockwise: the similarity that brings the typical landmarks nearest.
export function align(landmarks) {
  const mean = meanOf(landmarks);
  let re = 0, im = 0, norm = 0;
  ALIGNMENT.TYPICAL_LANDMARKS.forEach((typical, i) => {
    const a = typical[0] - typicalMean[0], b = typical[1] - typicalMean[1];
    const x = landmarks[i][0] - mean[0], y = landmarks[i][1] - mean[1];
    re += a * x + b * y;
    im += a * y - b * x;
    norm += a * a + b * b;
  });
  re /= norm;
  im /= norm;
  const dx = 0.5 - typicalMean[0], dy = 0.5 - typicalMean[1];
  const x = mean[0] + dx * re - dy * im + 0.5, y = mean[1] + dx * im + dy * re + 0.5;
  const side = Math.max(Math.hypot(re, im), 1e-6);
  return { box: squareAround(x, y, side / 2), angle: (Math.atan2(im, re) * 180) / Math.PI };
}

// How little the landmarks lie like a face's: root mean square distance from their typical places, in box heights.
export function misfit(landmarks, box, angle) {
  const radians = (angle * Math.PI) / 180, cosine = Math.cos(radians), sine = Math.sin(radians);
  const [x, y] = centerOf(box), height = heightOf(box);
  const squares = ALIGNMENT.TYPICAL_LANDMARKS.map(([a, b], i) => {
    const u = (a - 0.5) * cosine - (b - 0.5) * sine, v = (a - 0.5) * sine + (b - 0.5) * cosine;
    return (landmarks[i][0] - (u * height + x - 0.5)) ** 2 + (landmarks[i][1] - (v * height + y - 0.5)) ** 2;
  });
  return Math.sqrt(squares.reduce((sum, one) => sum + one, 0) / squares.length) / Math.max(1, height);
}
