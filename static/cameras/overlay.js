// Boxes and labels over the visitor's own video. They look like those that the app draws into its pictures
// (faces/annotation.py).
import { paintBadge } from "../people/badges.js";
import { SHOWN, slots } from "../people/face_slots.js";
import { percent } from "../meter/percent.js";

const SMILE = "#ffd04d", NO_SMILE = "#a8bed6", INK = "#2b2118";

export class Overlay {
  #answer = null;
  #mirrored = true;

  marksOnly = false; // over a picture on which the app has already drawn boxes and labels

  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  set mirrored(value) {
    this.#mirrored = value;
    this.#draw();
  }

  // `answer`: the app's, or null for nothing.
  show(answer) {
    this.#answer = answer;
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * density); // clears it, too
    this.canvas.height = Math.round(height * density);
    if (!this.#answer?.faces.length || !width || !height) return;
    const context = this.canvas.getContext("2d");
    context.scale(density, density);
    const { width: pictureWidth, height: pictureHeight } = this.#answer;
    const scale = Math.min(width / pictureWidth, height / pictureHeight); // as `object-fit: contain` places the video
    const left = (width - pictureWidth * scale) / 2, top = (height - pictureHeight * scale) / 2;
    const faces = this.#answer.faces.map((face) => {
      const x = this.#mirrored ? pictureWidth - face.box.right : face.box.left;
      const box = { x: left + x * scale, y: top + face.box.top * scale };
      return { ...face, box: { ...box, w: (face.box.right - face.box.left) * scale, h: (face.box.bottom - face.box.top) * scale } };
    });
    if (!this.marksOnly) drawFaces(context, faces, width, height);
    else if (faces.length > 1) for (const face of faces) drawMark(context, face, width, height);
  }
}

const hasMark = (slot) => slot >= 1 && slot <= SHOWN;

// At the lower left corner of the box, where the app puts no label.
function drawMark(context, { id, box }, width, height) {
  if (!hasMark(slots.of(id))) return;
  const size = Math.min(30, Math.max(18, box.w / 3.5));
  const inside = (at, most) => Math.max(0, Math.min(at - size / 2, most - size));
  paintBadge(context, slots.of(id), inside(box.x, width), inside(box.y + box.h, height), size);
}

function drawFaces(context, faces, width, height) {
  const line = Math.min(3, Math.max(1.5, Math.min(width, height) / 240));
  for (const { box, label } of [...faces].reverse()) { // the biggest last, on top
    for (const [ink, thickness] of [[INK, 3 * line], [color(label), line]]) {
      context.strokeStyle = ink; // a dark rim keeps the box visible on a bright picture
      context.lineWidth = thickness;
      context.strokeRect(box.x, box.y, box.w, box.h);
    }
  }
  const plates = [];
  for (const face of faces) {
    const others = faces.filter((other) => other !== face).map((other) => other.box);
    plates.push(drawLabel(context, face, [...others, ...plates], width, height));
  }
}

const color = (label) => (label === "smile" ? SMILE : NO_SMILE);

// Above, below or inside its box, where it covers least of `taken`. Returns the place that it took.
function drawLabel(context, { id, box, smile, label }, taken, width, height) {
  const size = Math.round(Math.min(19, Math.max(13, box.w / 7)));
  const pad = Math.round(size * 0.4);
  context.font = `600 ${size}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
  const words = `Smile ${percent(smile)} %`;
  const short = taken.length && context.measureText("Smile 100 %").width > 2.5 * box.w;
  const text = short ? `${percent(smile)} %` : words;
  const h = size + 2 * pad;
  const marked = taken.length && hasMark(slots.of(id)) ? h : 0; // room for the mark, where there are several faces
  const w = context.measureText(text).width + 2 * pad + marked;
  const tops = [box.y - h, box.y + box.h].filter((y) => y >= 0 && y + h <= height);
  tops.push(Math.max(0, Math.min(box.y + box.h, height) - h));
  const places = tops.flatMap((y) => [box.x, box.x + box.w - w].map((x) => ({ x: Math.max(0, Math.min(x, width - w)), y, w, h })));
  const covered = (place) => taken.reduce((sum, other) => sum + overlap(place, other), 0);
  const plate = places.reduce((best, place) => (covered(place) < covered(best) ? place : best));
  context.fillStyle = color(label);
  context.fillRect(plate.x, plate.y, w, h);
  context.fillStyle = INK;
  context.textBaseline = "middle";
  context.fillText(text, plate.x + pad + marked, plate.y + h / 2 + size * 0.05);
  if (marked) paintBadge(context, slots.of(id), plate.x + 2, plate.y + 2, h - 4);
  return plate;
}

function overlap(a, b) {
  const wide = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const high = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  return wide > 0 && high > 0 ? wide * high : 0;
}
