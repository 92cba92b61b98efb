// All faces of a picture at once, by the finder network, as faces/finder.py has it.
import { FINDER } from "./rules.js";
import { areaOf, squareAround } from "./boxes.js";
import { bordered, clamp, deviation, resized, round } from "./pixels.js";

export class FaceFinder {
  // `run(pixels, width, height)`: the network's output for a grey picture of that size, in a promise.
  constructor(run) {
    this.run = run;
  }

  // Candidates `{ box, angle, score }`, doubtful ones too, of about `minFace` pixels and more, the largest first.
  async candidates(gray, minFace) {
    if (Math.min(gray.width, gray.height) < 8) return [];
    const faces = [];
    for (const size of looks(gray, minFace)) faces.push(...(await this.#find(gray, size)));
    const kept = [];
    for (const face of faces.sort((a, b) => b.score - a.score)) {
      if (face.side >= FINDER.TOO_SMALL * minFace && isNew(face, kept)) kept.push(face);
    }
    const found = kept.map((face) => ({ box: squareAround(face.x, face.y, face.side / 2), angle: leanOf(face), score: face.score }));
    return found.sort((a, b) => areaOf(b.box) - areaOf(a.box));
  }

  async #find(gray, [width, height]) {
    const { picture, scale } = fitted(gray, width, height);
    if (deviation(picture) < FINDER.LEAST_CONTRAST) return [];
    const maps = await this.run(picture.data, width, height);
    return decode(maps, width / FINDER.CELL).map(({ score, x, y, side, landmarks }) => ({
      score, x: x / scale, y: y / scale, side: side / scale, landmarks: landmarks.map(([u, v]) => [u / scale, v / scale]),
    }));
  }
}

// The sizes `[width, height]` at which to look at a picture.
export function looks({ width, height }, minFace) {
  const whole = FINDER.WIDTH / Math.max(width, (height * FINDER.WIDTH) / FINDER.HEIGHT);
  const most = Math.sqrt(FINDER.MOST_PIXELS / (height * width));
  const scale = Math.min(FINDER.SMALLEST / Math.max(minFace, 1), FINDER.MOST_ENLARGED, most);
  const scales = scale <= FINDER.ONE_LOOK * whole ? [whole] : [whole, scale];
  return scales.map((value) => [multiple(width * value), multiple(height * value)]);
}

const multiple = (pixels) => Math.max(FINDER.DEEPEST, FINDER.DEEPEST * Math.ceil(pixels / FINDER.DEEPEST - FINDER.SLACK));

function fitted(gray, width, height) {
  const scale = Math.min(width / gray.width, height / gray.height);
  const inner = [clamp(round(gray.width * scale), 1, width), clamp(round(gray.height * scale), 1, height)];
  const scaled = resized(gray, ...inner, { area: scale < 1 });
  return { picture: bordered(scaled, 0, height - inner[1], 0, width - inner[0]), scale };
}

// The faces in the network's output, `columns` cells a row, in pixels of its input, the surest first.
function decode(maps, columns) {
  const cells = [];
  for (let i = 0; i < maps.length; i += FINDER.CHANNELS) if (maps[i] >= FINDER.DOUBTFUL) cells.push(i);
  cells.sort((a, b) => maps[b] - maps[a] || a - b);
  const faces = [];
  for (const at of cells.slice(0, FINDER.MOST_CELLS)) {
    const cell = at / FINDER.CHANNELS, column = cell % columns, row = Math.floor(cell / columns);
    const side = FINDER.CELL * Math.exp(Math.min(maps[at + 3], FINDER.MOST_LOG_SIDE));
    const x = FINDER.CELL * (column + 0.5 + maps[at + 1]), y = FINDER.CELL * (row + 0.5 + maps[at + 2]);
    const landmarks = Array.from({ length: 5 }, (_, i) => [maps[at + 4 + 2 * i] * side + x, maps[at + 5 + 2 * i] * side + y]);
    const face = { score: maps[at], x, y, side, landmarks };
    if (isNew(face, faces)) faces.push(face);
  }
  return faces;
}

function isNew(face, others) {
  return others.every((other) => overlap(face, other) < FINDER.SAME_FACE);
}

function overlap(a, b) {
  const wide = Math.min(a.x + a.side / 2, b.x + b.side / 2) - Math.max(a.x - a.side / 2, b.x - b.side / 2);
  const high = Math.min(a.y + a.side / 2, b.y + b.side / 2) - Math.max(a.y - a.side / 2, b.y - b.side / 2);
  return wide > 0 && high > 0 ? (wide * high) / (a.side ** 2 + b.side ** 2 - wide * high) : 0;
}

// Degrees clockwise, from the eyes and the mouth's place below them.
function leanOf({ landmarks: [left, right, , mouthLeft, mouthRight] }) {
  const across = [right[0] - left[0], right[1] - left[1]];
  const down = [0, 1].map((axis) => (mouthLeft[axis] + mouthRight[axis] - left[axis] - right[axis]) / 2);
  return (Math.atan2(across[1] - down[0], across[0] + down[1]) * 180) / Math.PI;
}
