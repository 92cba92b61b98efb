// All faces of one still picture, with more effort than a frame gets, as faces/photo.py has it.
import { PHOTO, SEARCH } from "./rules.js";
import { align, areaOf, heightOf, iou } from "./boxes.js";
import { isSurelyAFace, mayBeAFace } from "./following.js";

// Largest first, ids from 1.
export async function analyzePhoto(gray, finder, recognizer) {
  const smallest = Math.max(SEARCH.SMALLEST, Math.min(gray.height, 2 * gray.width) / SEARCH.SMALLEST_PART);
  for (const least of [smallest, Math.max(PHOTO.FINER, smallest / 2)]) {
    const found = await verified(gray, await finder.candidates(gray, least), recognizer);
    if (found.length) return found.sort((a, b) => areaOf(b.box) - areaOf(a.box)).map((face, i) => ({ ...face, id: i + 1 }));
  }
  return [];
}

// The reading of each candidate that looks like a face, each face once, the surest first.
async function verified(gray, proposed, recognizer) {
  const kept = [];
  for (const { box: proposedBox, angle: lean, score } of proposed) {
    const leant = Math.abs(lean) >= PHOTO.LEANING ? lean : 0;
    const first = await recognizer.read(gray, proposedBox, leant);
    const { box, angle } = align(first.landmarks);
    if (!mayBeAFace(first.presence, score) || !plausible(box, proposedBox)) continue;
    const second = await recognizer.read(gray, box, angle);
    const presence = Math.min(first.presence, second.presence); // a pattern seldom fools the network from both sides
    if (!(await isSurelyAFace(gray, { ...second, presence }, recognizer, score))) continue;
    kept.push({ ...(Math.max(Math.abs(angle), Math.abs(leant)) >= PHOTO.LEANING ? second : first), presence });
  }
  const faces = [];
  for (const face of kept.sort((a, b) => b.presence - a.presence)) {
    if (faces.every((other) => iou(face.box, other.box) < PHOTO.SAME_FACE)) faces.push(face);
  }
  return faces;
}

function plausible(box, proposed) {
  const ratio = heightOf(box) / Math.max(1, heightOf(proposed));
  return ratio > 1 / PHOTO.ALIKE && ratio < PHOTO.ALIKE && iou(box, proposed) > PHOTO.ALIKE_OVERLAP;
}
