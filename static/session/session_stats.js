// The sums of one session, and its readings as a table. Nothing here leaves the browser.
const LONGEST_GAP_MS = 1500; // a face with a longer gap between two readings has left
const BEGINS = 0.6, ENDS = 0.4; // a smile that trembles about 50 % is one smile
const ROW_EVERY_MS = 500;
const MOST_ROWS = 60_000; // one face for more than eight hours; then the oldest rows go
const pad = (number) => String(number).padStart(2, "0");
const FORMULA = /^[=+\-@\t\r]/; // what a spreadsheet would calculate

export class SessionStats {
  #start = null; // of the first reading with a face
  #last = null;
  #rowAt = -Infinity;
  #rows = [];
  #smiling = new Map(); // slot -> when it was last seen smiling
  #watched = 0;
  #smiled = 0;
  #smiles = 0;
  #best = 0;
  #jokes = 0;
  #joke = "";
  #funniest = null;

  constructor({ mostRows = MOST_ROWS } = {}) {
    this.mostRows = mostRows;
  }

  // `faces`: [{slot, smile}, ...] in view at `now`, in milliseconds; empty when there are none or they can't be read. `clock`:
  // the time of day, as Date.now() gives it.
  read(now, faces, clock = Date.now()) {
    const gap = this.#last === null ? Infinity : now - this.#last;
    this.#last = faces.length ? now : null;
    for (const [slot, seenAt] of this.#smiling) if (now - seenAt > LONGEST_GAP_MS) this.#smiling.delete(slot);
    if (!faces.length) return;
    this.#start ??= now;
    if (gap <= LONGEST_GAP_MS) {
      this.#watched += gap;
      if (faces.some(({ smile }) => smile >= 0.5)) this.#smiled += gap;
    }
    for (const { slot, smile } of faces) {
      this.#best = Math.max(this.#best, smile);
      if (smile >= BEGINS && !this.#smiling.has(slot)) this.#smiles += 1;
      if (smile >= BEGINS || (smile >= ENDS && this.#smiling.has(slot))) this.#smiling.set(slot, now);
      else if (smile < ENDS) this.#smiling.delete(slot);
    }
    if (now - this.#rowAt < ROW_EVERY_MS) return;
    this.#rowAt = now;
    const time = (now - this.#start) / 1000;
    for (const { slot, smile } of faces) this.#rows.push([time, clock, slot, smile, this.#joke]);
    if (this.#rows.length > this.mostRows) this.#rows.splice(0, this.#rows.length - this.mostRows);
  }

  heard(text) {
    this.#jokes += 1;
    this.#joke = text;
  }

  // What the joke did, as measured in jokes/lift.js.
  reacted(text, { lift, laughed }) {
    if (laughed && lift > (this.#funniest?.lift ?? 0)) this.#funniest = { text, lift };
  }

  // Seconds `watched` (with a face in view) and `smiled`; how many `smiles` and `jokes`; `best` smile, 0 to 1; `funniest`:
  // {text, lift} or null; how many `rows` the table has.
  get summary() {
    return {
      watched: this.#watched / 1000,
      smiled: this.#smiled / 1000,
      smiles: this.#smiles,
      best: this.#best,
      jokes: this.#jokes,
      funniest: this.#funniest,
      rows: this.#rows.length,
    };
  }

  // RFC 4180: seconds since the first face, the time of day here, the face's number on the page, its smile from 0 to 1, and
  // the joke that was told last. One row for each face every half second.
  csv() {
    const rows = this.#rows.map(([time, clock, face, smile, joke]) =>
      [time.toFixed(1), local(new Date(clock)), face, smile.toFixed(4), field(joke)].join(","));
    return `${["time_s,clock,face,smile,joke", ...rows].join("\r\n")}\r\n`;
  }
}

// 2026-11-28 14:05:12, which spreadsheets read as a time.
function local(at) {
  const day = [at.getFullYear(), pad(at.getMonth() + 1), pad(at.getDate())].join("-");
  return `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(pad).join(":")}`;
}

function field(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
