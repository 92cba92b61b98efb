// Keep a straight face: the rules. This needs no page and no clock; every call comes with its time in milliseconds.
//
// choosing -> calming (each resting face is read) -> breath -> telling -> breath -> ... -> over. Whoever smiles is `out`: that
// moment stays for a while. While a player is missing or nothing can be read, Dad waits and nobody is judged.
import { Players } from "./players.js";
import { BREATH_MS, MOMENT_MS, timingOf } from "./timing.js";

const AWAY_MS = 10_000; // out of view in one game, all absences together; who is away for longer is out
const STALE_MS = 1000; // after so long without a reading nothing can be told
const LONGEST_STEP_MS = 1000;
const RUNNING = ["calming", "breath", "telling", "out"];

export class Game {
  phase = "choosing";
  jokes = 0; // to be told
  number = 0; // of the joke that is told, or comes next
  joke = null; // {id, text, setUp, punchline}
  part = ""; // of it that is being told: "set-up" or "punchline"
  players = new Players();
  alone = true;
  fallen = []; // who was out last: players
  #pace;
  #events = [];
  #coming = null;
  #given = 0; // jokes
  #clock = 0; // ms of this phase
  #at = null;
  #readAt = -Infinity;
  #goesOnWith = "";

  // `pace`: how many times faster than usual Dad tells. Faces have as long as ever.
  constructor({ pace = 1 } = {}) {
    this.#pace = pace;
  }

  get running() {
    return RUNNING.includes(this.phase);
  }

  get wantsJoke() {
    return this.running && !this.#coming && this.#given < this.jokes;
  }

  // What happened since the last call: [{kind, players}, ...] with kind "began", "breath", "set-up", "punchline", "out", "left",
  // "paused" (everyone has left) or "over".
  take() {
    return this.#events.splice(0);
  }

  start(jokes, now) {
    Object.assign(this, { jokes, number: 0, joke: null, part: "", players: new Players(), fallen: [], phase: "calming" });
    this.#coming = null;
    this.#given = 0;
    this.#at = now;
    this.#readAt = -Infinity;
  }

  // The next joke has come.
  tell(joke) {
    if (!this.wantsJoke) return;
    this.#coming = joke;
    this.#given += 1;
  }

  // `faces`: as for `Players`, without those who don't play; null: nothing can be read.
  read(faces, now) {
    this.tick(now);
    if (!faces) this.#readAt = -Infinity;
    if (!faces || this.phase === "choosing" || this.phase === "over") return;
    this.#readAt = now;
    if (this.phase === "calming") {
      if (this.players.gather(faces, now)) this.#begin();
    } else {
      this.players.follow(faces, now);
      if (this.phase === "telling" && !this.waitsFor(now)) this.#judge(now);
    }
  }

  // Why Dad waits: "camera", "players" that are missing, or "".
  waitsFor(now) {
    if (now - this.#readAt > STALE_MS) return "camera";
    return this.phase !== "calming" && this.players.missing(now).length ? "players" : "";
  }

  // Call this often, so that time goes on between readings.
  tick(now) {
    const step = Math.min(Math.max(0, now - (this.#at ?? now)), LONGEST_STEP_MS);
    this.#at = now;
    if (this.phase === "out") {
      this.#clock += step;
      if (this.#clock >= MOMENT_MS / this.#pace) this.#goOn();
    } else if (this.phase === "breath" || this.phase === "telling") {
      const why = this.waitsFor(now);
      if (why === "players") this.#miss(step, now);
      if (why) return;
      this.#clock += step;
      if (this.phase === "breath") this.#breathe();
      else this.#tellOn();
    }
  }

  pause() {
    if (this.phase === "out") this.#goOn(); // the moment has been seen
    if (!this.running) return;
    this.#goesOnWith = this.phase === "telling" ? "breath" : this.phase; // a joke is told from its beginning again
    this.phase = "paused";
  }

  resume(now) {
    if (this.phase !== "paused") return;
    this.phase = this.#goesOnWith;
    this.#at = now;
    this.#readAt = -Infinity;
    if (this.phase === "calming") this.players = new Players();
    if (this.phase === "breath") this.#breath();
  }

  quit() {
    this.phase = "choosing";
  }

  // Of a game that is over: {players, the best first, each with its `place`; winners; survived: jokes of whoever plays alone;
  // fellBy: the joke by which the last one fell, or null}.
  get result() {
    const lasted = (player) => (player.out ? player.out.at : Infinity);
    const players = [...this.players.all].sort((a, b) => lasted(b) - lasted(a) || a.rise - b.rise || a.slot - b.slot);
    const ranked = players.map((player) => ({
      player,
      place: 1 + players.filter((other) => lasted(other) > lasted(player)).length,
      survived: player.out ? player.out.joke - 1 : this.number,
    }));
    const winners = this.alone ? [] : ranked.filter(({ place }) => place === 1).map(({ player }) => player);
    const smiled = players.filter(({ out }) => out?.why === "smiled"); // who fell last comes first
    return { players: ranked, winners, survived: ranked[0]?.survived ?? 0, fellBy: smiled[0]?.out.told ?? null };
  }

  #begin() {
    this.alone = this.players.all.length === 1;
    this.players.begin();
    this.#tellOf("began", this.players.all);
    this.#next();
  }

  #next() {
    this.number += 1;
    this.joke = null;
    this.#breath();
  }

  #breath() {
    this.phase = "breath";
    this.part = "";
    this.#clock = 0;
    for (const player of this.players.all) player.hold.forget();
    this.#tellOf("breath");
  }

  #breathe() {
    if (this.#clock < BREATH_MS / this.#pace) return;
    if (!this.joke) [this.joke, this.#coming] = [this.#coming, null]; // else it was begun before a pause
    if (!this.joke) return; // it has not come yet
    this.phase = "telling";
    this.part = "set-up";
    this.#clock = 0;
    this.#tellOf("set-up");
  }

  #tellOn() {
    const { punchlineAt, overAt } = timingOf(this.joke), clock = this.#clock * this.#pace;
    if (this.part === "set-up" && punchlineAt !== null && clock >= punchlineAt) {
      this.part = "punchline";
      this.#tellOf("punchline");
    }
    if (clock < overAt || this.players.living.some(({ hold }) => hold.progress)) return; // a smile has its time
    if (this.number >= this.jokes) this.#over();
    else this.#next();
  }

  #judge(now) {
    const fallen = [];
    for (const player of this.players.living) {
      if (player.seenAt !== now) continue;
      player.rise = Math.max(player.rise, player.smile - player.neutral);
      player.peak = Math.max(player.peak, player.smile);
      if (player.hold.read(player.face, now)) fallen.push(player);
    }
    if (!fallen.length) return;
    for (const player of fallen) player.out = { why: "smiled", joke: this.number, told: this.joke, smile: player.smile, at: now };
    this.fallen = fallen;
    this.phase = "out";
    this.#clock = 0;
    this.#tellOf("out", fallen);
  }

  // After the moment.
  #goOn() {
    const { length } = this.players.living;
    if (length > 1 && this.number < this.jokes) this.#next();
    else this.#over();
  }

  #miss(step, now) {
    const missing = this.players.missing(now), { living } = this.players;
    for (const player of missing) player.awayMs += step;
    const gone = missing.filter(({ awayMs }) => awayMs > AWAY_MS);
    if (!gone.length) return;
    if (missing.length === living.length) { // nobody is left to play on
      for (const player of living) player.awayMs = 0;
      this.pause();
      return this.#tellOf("paused");
    }
    for (const player of gone) player.out = { why: "left", joke: this.number, told: this.joke, at: now };
    this.#tellOf("left", gone);
    if (this.players.living.length < 2) this.#over();
  }

  #over() {
    this.phase = "over";
    this.#tellOf("over");
  }

  #tellOf(kind, players = []) {
    this.#events.push({ kind, players });
  }
}
