// The result as a picture to keep: the frozen moment, what became of it, and the joke, between two edges of Dad's tablecloth.
import { paintBadge } from "../people/badges.js";
import { dad, FONT, INK, MUTED, PAPER, tablecloth, wrapped } from "../shutter/shutter_print.js";
import { paintFaces, placed } from "./marks.js";

const SIDE = 1080, EDGE = 60, CLOTH = 48, SUN = "#ffd04d";
const SLAB = 'Rockwell, "Roboto Slab", "DejaVu Serif", "Sitka Small", serif';

// Draws the card onto `canvas`. `moment`: {picture: a canvas, faces: [{box, slot}, ...]} or null; `headline`; `joke`: text, or "";
// `why`: what stands before it; `players`: [{slot, place, deed}, ...]; `date`: words.
export async function drawCard(canvas, { moment, headline, joke, why, players, date }) {
  const face = await dad();
  [canvas.width, canvas.height] = [SIDE, SIDE];
  const context = canvas.getContext("2d", { alpha: false });
  context.fillStyle = PAPER;
  context.fillRect(0, 0, SIDE, SIDE);
  tablecloth(context, 0, SIDE, CLOTH);
  tablecloth(context, SIDE - CLOTH, SIDE, CLOTH);
  const several = players.length > 1;
  const lines = told(context, joke, several ? 2 : 3), spoken = joke ? lines.length * 46 + 78 : 0;
  const listed = several ? 46 : 0, foot = SIDE - CLOTH - 76;
  const bottom = foot - spoken - listed - 110; // of the picture
  paintMoment(context, moment, face, { x: EDGE, y: CLOTH + 30, w: SIDE - 2 * EDGE, h: bottom - CLOTH - 30 });
  paintHeadline(context, headline, bottom + 76);
  if (several) paintRow(context, players, bottom + 104);
  if (joke) paintJoke(context, { why, lines }, foot - spoken, spoken - 22);
  paintFoot(context, face, date, foot);
}

function told(context, joke, most) {
  context.font = `600 36px ${FONT}`;
  return joke ? wrapped(context, joke, SIDE - 2 * EDGE - 64, most) : [];
}

// The picture fills its place; what does not fit is cut off on both sides, never a face's middle.
function paintMoment(context, moment, face, { x, y, w, h }) {
  context.save();
  context.beginPath();
  context.roundRect(x, y, w, h, 28);
  context.clip();
  context.fillStyle = "#c9e4e2";
  context.fillRect(x, y, w, h);
  if (moment) {
    const { width, height } = moment.picture, scale = Math.max(w / width, h / height);
    const left = offset(w, width * scale, middle(moment, scale, "left", "right"));
    const top = offset(h, height * scale, middle(moment, scale, "top", "bottom"));
    context.translate(x + left, y + top);
    context.drawImage(moment.picture, 0, 0, width * scale, height * scale);
    paintFaces(context, moment.faces.map((one) => ({ ...one, box: placed(one.box, width, scale, false) })), w);
  } else if (face) {
    const side = 0.8 * h;
    context.drawImage(face, x + (w - side) / 2, y + (h - side) / 2, side, side);
  }
  context.restore();
}

// Where the middle of the marked faces is, in scaled units; null if there are none.
function middle({ faces }, scale, from, to) {
  if (!faces.length) return null;
  return (scale * (Math.min(...faces.map(({ box }) => box[from])) + Math.max(...faces.map(({ box }) => box[to])))) / 2;
}

function offset(room, length, wanted) {
  return Math.min(0, Math.max(room - length, room / 2 - (wanted ?? length / 2)));
}

function paintHeadline(context, words, y) {
  context.fillStyle = INK;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (let size = 64; size >= 36; size -= 4) {
    context.font = `800 ${size}px ${SLAB}`;
    if (context.measureText(words).width <= SIDE - 2 * EDGE) break;
  }
  context.fillText(words, SIDE / 2, y, SIDE - 2 * EDGE);
}

// Who came where.
function paintRow(context, players, y) {
  context.font = `700 28px ${FONT}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const entries = players.map(({ slot, place }) => ({ slot, words: `${place}.` }));
  const wide = entries.map(({ words }) => context.measureText(words).width + 66);
  let x = (SIDE - wide.reduce((sum, one) => sum + one, 0) + 22) / 2;
  entries.forEach(({ slot, words }, i) => {
    context.fillStyle = INK;
    context.fillText(words, x, y + 20);
    paintBadge(context, slot, x + wide[i] - 62, y + 1, 38);
    x += wide[i];
  });
}

function paintJoke(context, { why, lines }, y, height) {
  context.fillStyle = SUN;
  context.beginPath();
  context.roundRect(EDGE, y, SIDE - 2 * EDGE, height, 26);
  context.fill();
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillStyle = "#4a3a1c";
  context.font = `600 24px ${FONT}`;
  context.fillText(why, EDGE + 32, y + 38);
  context.fillStyle = INK;
  context.font = `600 36px ${FONT}`;
  lines.forEach((line, i) => context.fillText(line, EDGE + 32, y + 82 + i * 46));
}

function paintFoot(context, face, date, y) {
  context.textBaseline = "middle";
  context.textAlign = "left";
  const title = "Keep a straight face", left = EDGE + (face ? 72 : 0);
  if (face) context.drawImage(face, EDGE, y + 4, 60, 60);
  context.fillStyle = INK;
  context.font = `800 30px ${SLAB}`;
  context.fillText(title, left, y + 36);
  context.textAlign = "right";
  context.fillStyle = MUTED;
  context.font = `400 26px ${FONT}`;
  context.fillText(`Dad Jokes for Smiles, ${date}`, SIDE - EDGE, y + 36, SIDE - left - 420);
}
