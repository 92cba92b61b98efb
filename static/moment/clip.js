// A clip of the moment, made by the browser itself: its pictures on a canvas with the joke below, recorded as they play.
import { FONT, INK, MUTED, PAPER, wrapped } from "../shutter/shutter_print.js";

const KINDS = ["video/mp4;codecs=avc1.42E01F", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];
const BITS_PER_SECOND = 2_500_000;
const LAST_MS = 200; // the last picture stays
const STOP_MS = 5000; // a recorder has ended by then
const LINES = 4;

const kind = () => KINDS.find((one) => window.MediaRecorder?.isTypeSupported(one));

export function canMakeClips() {
  return Boolean(kind() && HTMLCanvasElement.prototype.captureStream);
}

// Plays `frames` ([{at, blob}, ...], times in milliseconds) on `canvas`, with the joke below. Ends early if `signal` is aborted.
export async function play(canvas, frames, joke, signal) {
  const began = performance.now();
  for (const [i, frame] of frames.entries()) {
    const next = (frames[i + 1]?.at ?? frame.at + LAST_MS) - frames[0].at;
    if (i && performance.now() - began >= next) continue; // too late for this one
    await drawFrame(canvas, frame, joke);
    await sleep(began + next - performance.now());
    if (signal.aborted) return;
  }
}

export async function drawFrame(canvas, { blob }, joke) {
  const picture = await createImageBitmap(blob);
  draw(canvas, picture, joke);
  picture.close();
}

// A video; takes as long as it lasts. Throws where the browser can't, or if `signal` is aborted.
export async function makeClip(frames, joke, signal) {
  const canvas = document.createElement("canvas");
  await drawFrame(canvas, frames[0], joke);
  const stream = canvas.captureStream(), parts = [];
  try {
    const recorder = new MediaRecorder(stream, { mimeType: kind(), videoBitsPerSecond: BITS_PER_SECOND });
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    const ended = new Promise((done, fail) => {
      recorder.addEventListener("stop", done);
      recorder.addEventListener("error", ({ error }) => fail(error ?? new DOMException("the recorder failed", "EncodingError")));
    });
    recorder.start();
    const played = play(canvas, frames, joke, signal).then(() => recorder.stop()).then(() => sleep(STOP_MS));
    await Promise.race([ended, played]); // a recorder may fail long before the last picture
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
  signal.throwIfAborted();
  if (!parts.some(({ size }) => size)) throw new DOMException("no video came", "EncodingError");
  return new Blob(parts, { type: kind().split(";")[0] });
}

const sleep = (ms) => new Promise((done) => setTimeout(done, Math.max(0, ms)));

// Videos want even sides.
const even = (size) => 2 * Math.round(size / 2);

function draw(canvas, picture, joke) {
  const context = canvas.getContext("2d", { alpha: false }), width = even(picture.width), height = even(picture.height);
  const letter = Math.round(width * 0.052), line = Math.round(letter * 1.3), edge = Math.round(width * 0.04);
  context.font = `600 ${letter}px ${FONT}`;
  const lines = wrapped(context, joke, width - 2 * edge, LINES), foot = even(edge + line * lines.length + line + edge / 2);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height + foot) canvas.height = height + foot;
  context.drawImage(picture, 0, 0, width, height);
  context.fillStyle = PAPER;
  context.fillRect(0, height, width, foot);
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillStyle = INK;
  context.font = `600 ${letter}px ${FONT}`;
  lines.forEach((words, i) => context.fillText(words, width / 2, height + edge * 0.8 + i * line, width - 2 * edge));
  context.fillStyle = MUTED;
  context.font = `400 ${Math.round(letter * 0.7)}px ${FONT}`;
  context.fillText("Dad Jokes for Smiles", width / 2, height + edge + lines.length * line);
}
