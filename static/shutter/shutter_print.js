// A photo-booth strip: pictures one below the other on one sheet, each with the joke that got the smile, in columns of four
// between two edges of Dad's tablecloth. Where a column is shorter than the others, Dad himself stands in.
import { at } from "../addresses.js";

const ROWS = 4;
const SIDE = 960; // at most so many pixels for a picture's longer side
const LINES = 4; // of a joke
export const PAPER = "#fff8ea", INK = "#2b2118", MUTED = "#66574a";
const CLOTH = ["#fff8ea", "#e2958a", "#c0392b"], WALL = "#c9e4e2";
export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// `pictures`: `{blob, joke}` in the order they were taken; `date`: words. A JPEG blob.
export async function printStrip(pictures, date) {
  const images = [];
  try {
    for (const { blob } of pictures) images.push(await createImageBitmap(blob));
    const canvas = draw(images, pictures.map(({ joke }) => joke), date, await dad());
    return await new Promise((done, fail) => {
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no JPEG"))), "image/jpeg", 0.92);
    });
  } finally {
    for (const image of images) image.close();
  }
}

// How many pictures stand in each column: as few columns as hold `count`, and all as long as they can be.
export function dealt(count) {
  const columns = Math.ceil(count / ROWS);
  return Array.from({ length: columns }, (_, i) => Math.ceil((count - i) / columns));
}

export async function dad() {
  const image = new Image(256, 256);
  image.src = at("static/icon.svg");
  await image.decode().catch(() => null); // a strip without Dad is better than none
  return image.complete && image.naturalWidth ? image : null;
}

function draw(images, jokes, date, face) {
  const sizes = images.map(({ width, height }) => {
    const scale = Math.min(1, SIDE / Math.max(width, height));
    return { width: Math.round(width * scale), height: Math.round(height * scale) };
  });
  const cell = Math.max(...sizes.map((size) => size.width));
  const edge = Math.round(cell * 0.06), gap = Math.round(cell * 0.04), cloth = Math.round(cell * 0.12);
  const letter = Math.round(cell * 0.042), foot = Math.round(cell * 0.24);
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false });
  context.font = `600 ${letter}px ${FONT}`;
  const captions = jokes.map((joke) => wrapped(context, joke, cell));
  const said = captions.map((lines) => (lines.length ? Math.round(lines.length * letter * 1.3 + gap / 2) : 0));
  const heights = sizes.map((size, i) => size.height + said[i]);
  const columns = [];
  let next = 0;
  for (const count of dealt(images.length)) columns.push(Array.from({ length: count }, () => next++));
  const tall = columns.map((column) => column.reduce((sum, i) => sum + heights[i] + gap, -gap));
  const high = Math.max(...tall);
  canvas.width = 2 * edge + columns.length * (cell + gap) - gap;
  canvas.height = Math.round(2 * cloth + edge + high + foot);
  context.fillStyle = PAPER;
  context.fillRect(0, 0, canvas.width, canvas.height);
  columns.forEach((column, k) => {
    const left = edge + k * (cell + gap);
    let top = cloth + edge;
    for (const i of column) {
      context.drawImage(images[i], left + (cell - sizes[i].width) / 2, top, sizes[i].width, sizes[i].height);
      caption(context, captions[i], left + cell / 2, top + sizes[i].height + gap / 2, letter);
      top += heights[i] + gap;
    }
    standIn(context, face, left, top, cell, cloth + edge + high - top);
  });
  tablecloth(context, 0, canvas.width, cloth);
  tablecloth(context, canvas.height - cloth, canvas.width, cloth);
  signature(context, canvas, cell, canvas.height - cloth - foot, foot, date, face);
  return canvas;
}

// Lines of a text that fit, `most` of them; what is too long ends with an ellipsis.
export function wrapped(context, text, width, most = LINES) {
  const lines = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && context.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.length > most ? [...lines.slice(0, most - 1), `${lines[most - 1]} …`] : lines;
}

function caption(context, lines, middle, top, letter) {
  context.font = `600 ${letter}px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillStyle = INK;
  lines.forEach((line, i) => context.fillText(line, middle, top + i * letter * 1.3));
}

// Dad before his wall, where a column has room for no picture more.
function standIn(context, face, left, top, width, height) {
  if (height < width * 0.3) return;
  context.fillStyle = WALL;
  context.fillRect(left, top, width, height);
  const side = 0.8 * Math.min(width, height);
  if (face) context.drawImage(face, left + (width - side) / 2, top + (height - side) / 2, side, side);
}

// Gingham: stripes both ways, darker where they cross.
export function tablecloth(context, top, width, height) {
  const square = height / 4;
  for (let y = 0; y < 4; y++) {
    for (let x = 0; x * square < width; x++) {
      context.fillStyle = CLOTH[(x % 2) + (y % 2)];
      context.fillRect(x * square, top + y * square, square + 1, square + 1);
    }
  }
}

function signature(context, canvas, cell, top, foot, date, face) {
  const side = face ? foot * 0.7 : 0, middle = canvas.width / 2 + side * 0.55, widest = 0.9 * canvas.width - side;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillStyle = INK;
  context.font = `700 ${Math.round(cell * 0.06)}px ${FONT}`;
  const half = Math.min(widest, context.measureText("Dad Jokes for Smiles").width) / 2;
  context.fillText("Dad Jokes for Smiles", middle, top + foot * 0.5, widest);
  context.fillStyle = MUTED;
  context.font = `400 ${Math.round(cell * 0.042)}px ${FONT}`;
  context.fillText(date, middle, top + foot * 0.75, widest);
  if (face) context.drawImage(face, middle - half - side * 1.15, top + foot * 0.17, side, side);
}
