// The table of photos' faces, as CSV.
import { FACE } from "./rules.js";

const SIDES = ["top", "right", "bottom", "left"];

// `photos`: `[{ name, width, height, faces }, ...]`. A photo without faces has one row, too.
export function photoTable(photos) {
  const head = ["photo", "width", "height", "face", "smile", "label", ...SIDES, ...FACE.LANDMARKS.flatMap((name) => [`${name}_x`, `${name}_y`])];
  const rows = photos.flatMap(({ name, width, height, faces }) => {
    const photo = [name, width, height];
    if (!faces.length) return [[...photo, ...head.slice(photo.length).map(() => "")]];
    return faces.map(({ id, smile, label, box, landmarks }) => [
      ...photo, id, smile, label, ...SIDES.map((side) => box[side]), ...FACE.LANDMARKS.flatMap((one) => landmarks[one]),
    ]);
  });
  return [head, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

// A name that a spreadsheet would take for a formula gets an apostrophe.
function field(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
