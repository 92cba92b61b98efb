// The page /play: readings and clicks go to the game, and what becomes of it is shown.
import { keepAwake, letSleep } from "../awake.js";
import { startCameras } from "../cameras/choice.js";
import { newReadings } from "../cameras/new_readings.js";
import { copyPicture, hasPicture } from "../cameras/picture.js";
import { tellFacts } from "../cameras/words.js";
import { hush, startSound } from "../jokes/sound.js";
import { onSpace } from "../jokes/space_bar.js";
import { keepPage } from "../offline/keep.js";
import { Game } from "./game.js";
import { Jokes } from "./jokes.js";
import { startEnding } from "./ending.js";
import { Stage } from "./stage.js";
import { fell, left } from "./words.js";

const TICK_MS = 50;
const CLOSER = 0.05; // so much nearer to a smile, and the moment is kept
const $ = (id) => document.getElementById(id);
// For tests and for the impatient: how many times faster Dad tells. What counts as a smile stays as it is.
const pace = Math.min(20, Math.max(0.25, Number(new URLSearchParams(location.search).get("pace")) || 1));
const game = new Game({ pace });
const stage = new Stage(game, pace);
const jokes = new Jokes({
  onJoke: (joke) => game.tell(joke),
  onTrouble: (words) => { stage.trouble = words; },
});
const isNew = newReadings();
let moment = null; // {picture, faces}: the last smile that counted, or the closest call
let closest = 0; // how near that came, 1 being a smile
let timer = null;

// --- readings ---

function read(state) {
  tellFacts(state);
  if (!isNew(state)) return;
  const readable = !state.message && hasPicture();
  stage.read(readable ? state : null);
  game.read(readable ? stage.faces : null, performance.now());
  if (game.phase === "telling") keepClosest();
  happened();
}

function keepClosest() {
  const near = Math.max(0, ...game.players.living.map(({ smile, limit }) => smile / limit));
  if (near < closest + CLOSER && moment) return;
  closest = near;
  keepMoment(game.players.living);
}

function keepMoment(players, held = 0) {
  const picture = copyPicture(moment?.picture ?? document.createElement("canvas"));
  const faces = stage.marksIn(picture).filter(({ slot }) => players.some((player) => player.slot === slot));
  moment = { picture, faces: faces.map((face) => ({ ...face, held })) };
}

function tick() {
  game.tick(performance.now());
  if (game.wantsJoke) jokes.ask();
  happened();
}

function happened() {
  for (const { kind, players } of game.take()) {
    if (kind === "set-up") stage.tellSetUp();
    else if (kind === "punchline") stage.tellPunchline();
    else if (kind === "out") fall(players);
    else if (kind === "left") stage.news = left(players);
    else if (kind === "paused") stage.news = "Nobody is in view.";
    else if (kind === "breath") stage.news = "";
    else if (kind === "over") stage.end(moment);
  }
  stage.draw(performance.now());
  run();
}

function fall(players) {
  closest = Infinity; // nothing is closer than a smile
  keepMoment(players, 1);
  stage.news = fell(game);
  stage.freeze(moment);
}

// The clock runs while the game does, and the screen stays on.
function run() {
  if (game.running === (timer !== null)) return;
  clearInterval(timer);
  timer = game.running ? setInterval(tick, TICK_MS) : null;
  if (game.running) keepAwake();
  else letSleep();
}

// --- what the player does ---

function go() {
  if (game.running) pause();
  else if (game.phase === "paused") game.resume(performance.now());
  else start();
  happened();
}

function start() {
  stage.news = "";
  if (!stage.readable && $("start").checkVisibility()) $("start").click(); // one click for both
  else if (!stage.readable && !$("curtain").hidden) {
    stage.news = "Dad can't see you yet: the picture says why.";
    return;
  }
  moment = null;
  closest = 0;
  jokes.forget();
  stage.begin();
  game.start(Number(document.querySelector("input[name=jokes]:checked").value), performance.now());
}

function pause() {
  game.pause();
  hush();
}

function quit() {
  if (game.phase === "choosing") return;
  const focused = document.activeElement === $("quit");
  hush();
  moment = null;
  stage.news = "";
  stage.begin();
  game.quit();
  happened();
  if (focused) $("go").focus();
}

$("go").addEventListener("click", go);
$("quit").addEventListener("click", quit);
onSpace(go);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !event.target.closest?.("select")) quit();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden || !game.running) return;
  pause();
  happened();
});
startSound();
startEnding();
stage.draw(performance.now());
startCameras(read);
keepPage();
