// Everyone's mark over the picture: a thin box in the player's colour, the badge above it, and a ring that fills while a smile lasts.
import { mark, paintBadge } from "../people/badges.js";

const INK = "#2b2118", GUEST = "#fff8ea";

export class Marks {
  #shown = null;

  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  // `shown`: {faces: [{box, slot: 0 for a guest, held: 0 to 1, out}, ...], width and height of the picture, mirrored}; null: nothing.
  show(shown) {
    this.#shown = shown;
    this.#draw();
  }

  #draw() {
    const { clientWidth, clientHeight } = this.canvas, density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(clientWidth * density); // clears it, too
    this.canvas.height = Math.round(clientHeight * density);
    if (!this.#shown?.faces.length || !clientWidth || !clientHeight) return;
    const { faces, width, height, mirrored } = this.#shown, context = this.canvas.getContext("2d");
    const scale = Math.min(clientWidth / width, clientHeight / height); // as `object-fit: contain` places the picture
    context.scale(density, density);
    context.translate((clientWidth - width * scale) / 2, (clientHeight - height * scale) / 2);
    paintFaces(context, faces.map((face) => ({ ...face, box: placed(face.box, width, scale, mirrored) })), clientWidth);
  }
}

// In units of the canvas: {x, y, w, h}.
export function placed({ left, top, right, bottom }, width, scale, mirrored) {
  return { x: scale * (mirrored ? width - right : left), y: scale * top, w: scale * (right - left), h: scale * (bottom - top) };
}

// `width`: of the picture as it is shown, from which lines take their measure.
export function paintFaces(context, faces, width) {
  const line = Math.max(2, width / 240);
  for (const face of faces) paintFace(context, face, line);
}

function paintFace(context, { box, slot, held, out }, line) {
  const { color, dash } = slot ? mark(slot) : { color: GUEST, dash: "2 6" };
  context.save();
  context.globalAlpha = out ? 0.45 : 1;
  for (const [ink, thickness] of [[INK, 2.4 * line], [color, line]]) {
    context.strokeStyle = ink; // a dark rim keeps it visible on a bright picture
    context.lineWidth = thickness;
    context.setLineDash(ink === INK ? [] : dash.split(" ").filter(Boolean).map((one) => Number(one) * line / 2));
    context.strokeRect(box.x, box.y, box.w, box.h);
  }
  context.setLineDash([]);
  if (slot) paintPlace(context, { slot, held, color }, box, line);
  context.restore();
}

// The badge, above the box or if there is no room for it on its upper edge.
function paintPlace(context, { slot, held, color }, box, line) {
  const size = Math.min(24 * line, Math.max(12 * line, box.w / 3.2)), x = box.x + box.w / 2;
  const y = Math.max(size * 0.75, box.y - size * 0.8);
  context.beginPath();
  context.arc(x, y, size * 0.74, 0, 2 * Math.PI);
  context.fillStyle = "#2b2118d9";
  context.fill();
  if (held) {
    context.beginPath();
    context.arc(x, y, size * 0.66, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * held);
    context.strokeStyle = color;
    context.lineWidth = size * 0.16;
    context.stroke();
  }
  paintBadge(context, slot, x - size / 2, y - size / 2, size);
}
