// How each face is marked: a colour, a shape, a kind of line and its number. Colours are Okabe and Ito's for all kinds of colour
// vision, the dark ones lightened until dark numbers can be read on them and they can be seen on the dark board.
const COLORS = ["#e69f00", "#7cc7f2", "#1fb588", "#f0e442", "#5a9ee2", "#ec7a45", "#dd93c0", "#f5efe4"];
const SHAPES = [ // in a square of 24
  "M12 1a11 11 0 1 0 .01 0z",
  "M2.5 2.5h19v19h-19z",
  "M12 .5L24 22.5H0z",
  "M12 -.5L24.5 12L12 24.5L-.5 12z",
  "M12 .5L23.5 9L19 23H5L.5 9z",
  "M6 1.5h12L24 12L18 22.5H6L0 12z",
  "M2 1h20v12L12 24L2 13z",
  "M7 1h10v6h6v10h-6v6H7v-6H1V7h6z",
];
const DASHES = ["", "9 4", "2 4", "12 4 2 4", "18 5", "5 5", "12 4 2 4 2 4", "1 7"];
const INK = "#2b2118";
const SVG = "http://www.w3.org/2000/svg";

// `slot`: from 1 on; after the last mark they begin anew.
export function mark(slot) {
  const i = (slot - 1) % COLORS.length;
  return { color: COLORS[i], shape: SHAPES[i], dash: DASHES[i], middle: i === 2 ? 15.5 : 12.5 };
}

// An SVG element of `kind` with these attributes.
export function svg(kind, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The mark of a face as a group in a square of 24.
export function badge(slot) {
  const { color, shape, middle } = mark(slot);
  const place = { x: 12, y: middle, "text-anchor": "middle", "dominant-baseline": "central" };
  const number = svg("text", { ...place, class: "badge-number", fill: INK }, String(slot));
  return svg("g", { class: "badge" }, svg("path", { d: shape, fill: color, stroke: INK, "stroke-width": 1.5 }), number);
}

// The same on a canvas, `size` pixels wide with its corner at `x`, `y`.
export function paintBadge(context, slot, x, y, size) {
  const { color, shape, middle } = mark(slot);
  const path = new Path2D(shape);
  context.save();
  context.translate(x, y);
  context.scale(size / 24, size / 24);
  context.fillStyle = color;
  context.fill(path);
  context.strokeStyle = INK;
  context.lineWidth = 1.5;
  context.stroke(path);
  context.fillStyle = INK;
  context.font = "800 14px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(String(slot), 12, middle + 0.5);
  context.restore();
}
