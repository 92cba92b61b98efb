// Photos that are dropped on the page, or chosen: read on this device, shown with their faces, and a table to download.
import { download } from "../download.js";
import { percent } from "../meter/percent.js";
import { deviceFiles, DeviceReader, whyNotHere } from "./device.js";
import { photoTable } from "./photo_table.js";

const MOST_PIXELS = 25_000_000; // as the app takes
const SHOWN = 640; // pixels of the longer side
const SMILE = "#ffb000", NO_SMILE = "#f4f1ea", INK = "#1b1512";
const $ = (id) => document.getElementById(id);
let results = []; // [{ name, width, height, faces }, ...]
let reading = Promise.resolve();
let asked = 0; // grows with "Remove all", which ends what is under way

export async function startPhotos() {
  if (!$("photos") || whyNotHere() || !(await deviceFiles())) return;
  $("photos").hidden = false;
  $("photos-choice").addEventListener("change", ({ target }) => {
    add([...target.files]);
    target.value = ""; // so that the same photo can be chosen again
  });
  $("photos-save").addEventListener("click", () =>
    download(new Blob([photoTable(results)], { type: "text/csv;charset=utf-8" }), "photos.csv"));
  $("photos-clear").addEventListener("click", clear);
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (on) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // without this the browser would open the photo in place of the page
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    add([...event.dataTransfer.files]);
  });
}

function add(files) {
  $("photos").open = true;
  const round = asked;
  reading = reading.then(() => readAll(files, round));
}

async function readAll(files, round) {
  if (round !== asked || !files.length) return;
  const reader = new DeviceReader(), refused = [];
  try {
    say("Loading what reads photos on this device…");
    await reader.load();
    for (const [i, file] of files.entries()) {
      say(`Reading photo ${i + 1} of ${files.length}…`);
      const why = await readOne(reader, file, round);
      if (round !== asked) return;
      if (why) refused.push(`${file.name} ${why}`);
    }
    const faces = results.reduce((sum, { faces }) => sum + faces.length, 0);
    say([`${count(results.length, "photo")}, ${count(faces, "face")}.`, ...refused].join(" "));
  } catch {
    if (round === asked) say("What reads photos can't be loaded just now; try again.");
  } finally {
    reader.close();
  }
}

// Reads and shows a photo. Returns why that can't be, in words, or "".
async function readOne(reader, file, round) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return "is no picture that this browser can open.";
  }
  const { width, height } = picture;
  if (width * height > MOST_PIXELS) {
    picture.close();
    return `has more than ${MOST_PIXELS / 1e6} megapixels; make it smaller.`;
  }
  const canvas = drawn(picture);
  let answer;
  try {
    answer = await reader.photo(picture);
  } catch {
    return "can't be read here.";
  }
  if (round !== asked) return "";
  results.push({ name: file.name, width, height, faces: answer.faces });
  show(canvas, results.at(-1));
  return "";
}

function drawn(picture) {
  const canvas = document.createElement("canvas"), scale = Math.min(1, SHOWN / Math.max(picture.width, picture.height));
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function show(canvas, { name, width, faces }) {
  const context = canvas.getContext("2d"), scale = canvas.width / width;
  for (const { id, box, label, landmarks } of faces) {
    const place = [box.left, box.top, box.right - box.left, box.bottom - box.top].map((one) => one * scale);
    for (const [ink, line] of [[INK, 5], [label === "smile" ? SMILE : NO_SMILE, 2.5]]) {
      context.strokeStyle = context.fillStyle = ink;
      context.lineWidth = line;
      context.strokeRect(...place);
      for (const [x, y] of Object.values(landmarks)) {
        context.beginPath();
        context.arc((x + 0.5) * scale, (y + 0.5) * scale, line, 0, 7);
        context.fill();
      }
    }
    context.font = "600 16px system-ui, sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = INK;
    context.strokeText(id, place[0] + 5, place[1] + 18);
    context.fillText(id, place[0] + 5, place[1] + 18);
  }
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name}: ${faces.map(({ id, smile }) => `face ${id} ${percent(smile)} %`).join(", ") || "no faces"}`);
  const item = document.createElement("li");
  item.append(canvas);
  $("photos-list").append(item);
  const rows = faces.length ? faces.map((face) => [name, face.id, `${percent(face.smile)} %`, places(face)]) : [[name, "–", "no faces", ""]];
  for (const row of rows) {
    const line = $("photos-rows").insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  $("photos-found").hidden = false;
}

const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
const places = ({ landmarks }) => Object.entries(landmarks).map(([name, [x, y]]) => `${name.replace("_", " ")} ${x}, ${y}`).join("; ");

function clear() {
  asked += 1;
  results = [];
  $("photos-list").replaceChildren();
  $("photos-rows").replaceChildren();
  $("photos-found").hidden = true;
  say("All photos are removed from this page.");
  $("photos-choice").focus();
}

function say(words) {
  $("photos-state").textContent = words;
}
