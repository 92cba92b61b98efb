// Who plays, and which face is whose. Everyone has a place with a number, from left to right as they began; it follows the face
// wherever that goes. A face that comes while somebody is missing takes the place that was left nearest to it.
import { Hold, limitOf, Rest } from "./faces.js";

export const MOST = 8; // as many as there are marks
const LOST_MS = 700; // a face that is missing for less than this is still in view
const ADOPTED_MS = 300; // after so long its place can be taken by a face that came since
export const RESTARTED_MS = 2000; // after such a gap between readings faces are numbered anew
const DROPPED_MS = 1000; // who is not seen for so long before the game begins does not play

class Player {
  smile = 0;
  rise = 0; // the highest smile while a joke was told, above the resting face
  peak = 0; // that smile
  awayMs = 0;
  out = null; // {why: "smiled" or "left", joke: its number, told: the joke, smile, at}
  rest = new Rest();
  hold = null;
  face = null; // as it was last seen

  constructor(slot, face, now) {
    this.slot = slot;
    this.ids = [face.id]; // the numbers of this player's face, the surest first
    this.see(face, now);
  }

  get neutral() {
    return this.rest.neutral;
  }

  get limit() {
    return limitOf(this.neutral ?? 0);
  }

  see(face, now) {
    this.face = face;
    this.smile = face.smile;
    this.seenAt = now;
  }
}

// `faces` everywhere: [{id, smile, label, x, y, w}, ...], the middle and the width of each as the players see themselves.
export class Players {
  all = [];
  #came = new Map(); // faces without a place: id -> {at, seenAt}
  #readAt = null;

  get living() {
    return this.all.filter((player) => !player.out);
  }

  bySlot(slot) {
    return this.all.find((player) => player.slot === slot);
  }

  missing(now) {
    return this.living.filter((player) => now - player.seenAt > LOST_MS);
  }

  // Before the game begins: whoever is in view plays.
  gather(faces, now) {
    this.follow(faces, now);
    this.all = this.all.filter((player) => now - player.seenAt <= DROPPED_MS);
    const strangers = faces.filter(({ id }) => !this.all.some((player) => player.ids.includes(id)));
    for (const face of lineUp(strangers)) {
      if (this.all.length < MOST) this.all.push(new Player(this.#freeSlot(), face, now));
    }
    for (const player of this.all) if (player.seenAt === now) player.rest.read(player.face, now);
    return this.all.length > 0 && this.all.every((player) => player.neutral !== null);
  }

  begin() {
    for (const player of this.all) player.hold = new Hold(player.limit);
  }

  // Each player's face among those that are in view.
  follow(faces, now) {
    if (this.#readAt !== null && now - this.#readAt > RESTARTED_MS) this.#forgetNumbers();
    this.#readAt = now;
    const free = new Map(faces.map((face) => [face.id, face]));
    for (const player of this.all) {
      const place = player.ids.findIndex((id) => free.has(id));
      if (place < 0) continue;
      player.see(free.get(player.ids[place]), now);
      free.delete(player.ids[place]);
      player.ids.length = place + 1; // whoever sat there meanwhile was somebody else
    }
    this.#note(free, now);
    this.#seat([...free.values()], now);
  }

  #forgetNumbers() {
    for (const player of this.all) player.ids = [];
    this.#came.clear();
  }

  #note(free, now) {
    for (const id of free.keys()) this.#came.set(id, { at: this.#came.get(id)?.at ?? now, seenAt: now });
    for (const [id, { seenAt }] of this.#came) if (now - seenAt > RESTARTED_MS) this.#came.delete(id);
  }

  // The nearest two first.
  #seat(strangers, now) {
    const empty = this.all.filter((player) => !player.ids.length || now - player.seenAt > ADOPTED_MS);
    const pairs = empty.flatMap((player) => strangers
      .filter(({ id }) => this.#came.get(id).at > player.seenAt)
      .map((face) => ({ player, face, far: Math.hypot(face.x - player.face.x, face.y - player.face.y) / player.face.w })));
    for (const { player, face } of pairs.sort((a, b) => a.far - b.far)) {
      if (player.seenAt === now || !this.#came.has(face.id)) continue;
      player.ids.push(face.id);
      player.see(face, now);
      this.#came.delete(face.id);
    }
  }

  #freeSlot() {
    let slot = 1;
    while (this.bySlot(slot)) slot += 1;
    return slot;
  }
}

// From left to right.
export function lineUp(faces) {
  return [...faces].sort((a, b) => a.x - b.x);
}
