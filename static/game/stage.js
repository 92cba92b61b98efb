// How a game looks: what Dad says, everyone's marks and bars, the frozen moment, and the end.
import { drawDad } from "../meter/dad.js";
import { percent } from "../meter/percent.js";
import { put } from "../put.js";
import { Aside } from "./aside.js";
import { best, forgetBest, noteBest } from "./best.js";
import { clearEnding, showEnding } from "./ending.js";
import { Marks } from "./marks.js";
import { lineUp, MOST } from "./players.js";
import { showPlayers } from "./roster.js";
import { punchline, say, setUp } from "./telling.js";
import { headline, wish } from "./words.js";

const $ = (id) => document.getElementById(id);
const body = document.body;
const SAYS = {
  choosing: "I tell the jokes. You keep a straight face. Whoever smiles is out.",
  calming: "Faces straight, please. Let me see your face at rest.",
};
const GO = { choosing: "Start", paused: "Go on", over: "Play again" };

export class Stage {
  news = ""; // what happened, in words
  trouble = ""; // why no joke comes
  faces = []; // of those who may play, as the game wants them
  marks = []; // [{box, slot, held, out}, ...]
  #game;
  #pace;
  #state = null; // the newest reading
  #aside = new Aside();
  #places = new Marks($("places"));

  constructor(game, pace) {
    this.#game = game;
    this.#pace = pace;
    for (const one of document.querySelectorAll("input[name=jokes]")) one.addEventListener("change", () => this.#drawBest());
    $("forget").addEventListener("click", () => {
      forgetBest();
      this.#drawBest();
      document.querySelector("input[name=jokes]:checked").focus();
    });
    this.#drawBest();
  }

  get readable() {
    return this.#state !== null;
  }

  get #mirrored() {
    return body.dataset.mode === "mine" && $("mirror").checked;
  }

  // `state`: {faces, width, height}; null: nothing can be read.
  read(state) {
    this.#state = state;
    if (!state) return;
    this.#aside.read(body.dataset.mode === "mine" ? $("mine").srcObject?.id : "the app's", performance.now());
    this.#sort();
  }

  #sort() {
    const state = this.#state;
    this.faces = state.faces.filter(({ id }) => !this.#aside.has(id)).map(({ id, smile, label, box }) =>
      ({ id, smile, label, ...this.#whereabouts(box) }));
    this.marks = state.faces.map(({ id, box }) => ({ box, ...this.#markOf(id) }));
  }

  // The marks over `picture`, which may be larger than the one that was read.
  marksIn(picture) {
    const scale = picture.width / this.#state.width, grown = ([side, at]) => [side, scale * at];
    return this.marks.map((one) => ({ ...one, box: Object.fromEntries(Object.entries(one.box).map(grown)) }));
  }

  // In widths of the picture, whose size in pixels changes with how fast it is read.
  #whereabouts({ left, top, right, bottom }) {
    const { width } = this.#state, x = (left + right) / 2 / width;
    return { x: this.#mirrored ? 1 - x : x, y: (top + bottom) / 2 / width, w: (right - left) / width };
  }

  tellSetUp() {
    setUp(this.#game.joke, this.#pace);
  }

  tellPunchline() {
    punchline(this.#game.joke, this.#pace);
  }

  // The moment of a smile stays in the frame. `moment`: {picture, faces}.
  freeze({ picture, faces }) {
    const canvas = $("moment");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
    canvas.classList.toggle("own", body.dataset.mode === "mine");
    canvas.hidden = $("stamp").hidden = false;
    this.#places.show({ faces, width: picture.width, height: picture.height, mirrored: this.#mirrored });
    document.dispatchEvent(new Event("shutter")); // for the sound
    const flash = $("shutter-flash");
    flash.classList.remove("now");
    void flash.offsetWidth; // begins the animation anew
    flash.classList.add("now");
  }

  begin() {
    this.#thaw();
    clearEnding();
  }

  end(moment) {
    const { alone, jokes, result } = this.#game;
    const better = alone && noteBest(jokes, result.survived);
    $("best").textContent = alone ? bestWords(jokes, better) : "";
    this.news = alone && result.fellBy ? `Joke ${this.#game.number} got you, at ${percent(result.players[0].player.out.smile)} %.` : "";
    this.#drawBest();
    showEnding(this.#game, moment);
  }

  draw(now) {
    const { phase, number, jokes, joke } = this.#game;
    if (phase !== "out") this.#thaw();
    body.dataset.phase = phase;
    put($("go"), GO[phase] ?? "Pause");
    put($("quit"), phase === "over" ? "Back" : "Quit");
    $("quit").hidden = phase === "choosing";
    $("ending").hidden = phase !== "over";
    put($("progress"), ["choosing", "calming", "over"].includes(phase) ? "" : `Joke ${number} of ${jokes}`);
    if (phase === "over") say(headline(this.#game));
    else if (phase === "breath") say(number === 1 ? "Ready? Here comes the first." : number === jokes ? "And now the last." : "Here comes the next.");
    else if (phase === "paused") say(joke ? "Paused. When you go on, I tell the joke again." : "Paused. I wait until you go on.");
    else if (SAYS[phase]) say(SAYS[phase]);
    put($("game-news"), (this.#game.wantsJoke && this.trouble) || wish(this.#game, now) || this.news);
    this.#drawPlayers(now);
    if (phase !== "out" && phase !== "over") {
      const { width, height } = this.#state ?? {};
      this.#places.show(this.#state && { faces: this.marks, width, height, mirrored: this.#mirrored });
    }
    const smiles = this.#smiling();
    drawDad(phase === "out" ? 1 : smiles.length ? Math.max(...smiles) : null);
    $("dad").classList.toggle("laughs", phase === "out");
  }

  #smiling() {
    const { players, phase } = this.#game, faces = new Set(players.living.map(({ face }) => face.id));
    if (!this.#state) return [];
    return this.faces.filter(({ id }) => ["choosing", "over"].includes(phase) || faces.has(id)).map(({ smile }) => smile);
  }

  #thaw() {
    if ($("moment").hidden) return;
    $("moment").hidden = $("stamp").hidden = true;
    $("moment").width = $("moment").height = 1; // forgets the picture
    this.#places.show(null);
  }

  // Before a game everyone in view has the place that they would begin with.
  #markOf(id) {
    if (["choosing", "over"].includes(this.#game.phase)) {
      return { slot: this.#aside.has(id) ? 0 : 1 + this.#lined().findIndex((face) => face.id === id), held: 0, out: false };
    }
    const player = this.#game.players.all.find(({ face }) => face.id === id);
    return { slot: player?.slot ?? 0, held: player?.hold?.progress ?? 0, out: Boolean(player?.out) };
  }

  #lined() {
    return lineUp(this.faces).slice(0, MOST);
  }

  #drawPlayers(now) {
    const { phase, players, alone } = this.#game;
    if (phase === "choosing" || phase === "over") return this.#drawGathering();
    const missing = new Set(players.missing(now));
    showPlayers(players.all.map((player) => {
      const { slot, smile, out, limit, neutral } = player;
      const you = players.all.length === 1 && (alone || phase === "calming");
      const state = condition(player, { missing: missing.has(player), calming: phase === "calming" });
      return { key: `player ${slot}`, slot, smile, limit: neutral === null ? null : limit, out, you, choice: false, plays: true, state };
    }));
  }

  #drawGathering() {
    if (!this.#state) return showPlayers([]);
    const places = new Map(this.#lined().map(({ id }, i) => [id, i + 1])), several = this.#state.faces.length > 1;
    const faces = [...this.#state.faces].sort((a, b) => (places.get(a.id) ?? 99) - (places.get(b.id) ?? 99));
    const gathered = faces.map(({ id, smile }) => {
      const slot = places.get(id) ?? 0, state = places.size === 2 && slot ? ["left", "right"][slot - 1] : "";
      return { key: `face ${id}`, slot, smile, limit: null, out: null, you: !several, choice: several, plays: !this.#aside.has(id), state };
    });
    showPlayers(gathered, (key, plays) => {
      const id = Number(key.split(" ")[1]);
      this.#aside.set(id, plays);
      this.#sort();
    });
  }

  #drawBest() {
    const jokes = Number(document.querySelector("input[name=jokes]:checked").value), survived = best(jokes);
    $("best-so-far").hidden = survived === null;
    if (survived !== null) put($("best-words"), `Your best of ${jokes}, alone: ${survived}`);
  }
}

function condition({ out, neutral }, { missing, calming }) {
  if (out) return out.why === "left" ? "left" : `out at joke ${out.joke}`;
  if (missing) return "away";
  if (neutral === null) return "reading your face…";
  return calming ? "ready" : "";
}

function bestWords(jokes, better) {
  return better ? "Your best so far on this device!" : `Your best on this device: ${best(jokes) ?? 0} of ${jokes}.`;
}
