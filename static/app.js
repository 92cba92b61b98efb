// The page: the camera that is shown, jokes, meters, the last minute and the session. One camera at a time, and none while
// the page is hidden.
import { hearMore, revealPunchline, tellFirst } from "./jokes/jokes.js";
import { startHandsFree } from "./jokes/hands_free.js";
import { startSound } from "./jokes/sound.js";
import { startLaughing } from "./meter/laugh.js";
import { MyCamera } from "./cameras/my_camera.js";
import { startParty } from "./party/party.js";
import { startMoment } from "./moment/moment.js";
import { showWayIn } from "./party/phones.js";
import { partying } from "./party/partying.js";
import { startKept } from "./kept/kept.js";
import { startYourJokes } from "./jokes/your_jokes.js";
import { keep, kept } from "./remembered.js";
import { finish } from "./jokes/reactions.js";
import { onSpace } from "./jokes/space_bar.js";
import { ServerCamera } from "./cameras/server_camera.js";
import { keepPage } from "./offline/keep.js";
import { startPhotos } from "./reading/photos.js";
import { startSession } from "./session/session.js";
import { startTimeline } from "./session/timeline.js";

const WHY_MINE = { // by what the app was started with
  auto: "The computer that runs this app has no camera that works. You can use your own.",
  none: "This app was started without a camera. You can use your own.",
};
const body = document.body;
const switches = [...document.querySelectorAll("input[name=camera]")];
const cameras = {
  server: new ServerCamera({ onNoCamera: body.dataset.source === "auto" ? useMine : null }),
  mine: new MyCamera(),
};

function choose(mode) {
  if (mode !== body.dataset.mode) cameras[body.dataset.mode].stop();
  body.dataset.mode = mode;
  for (const one of switches) one.checked = one.value === mode;
  if (!document.hidden) cameras[mode].resume(); // a tab opened in the background leaves the camera alone
}

function useMine() {
  cameras.mine.greeting = WHY_MINE[body.dataset.source];
  choose("mine");
}

const current = () => cameras[body.dataset.mode];

for (const one of switches) {
  one.addEventListener("change", () => {
    cameras.server.onNoCamera = null; // a choice made by hand holds
    choose(one.value);
    keep("mode", one.value === "mine" ? "mine" : null);
  });
}
document.getElementById("another").addEventListener("click", hearMore);
document.querySelector(".joke").addEventListener("click", (event) => {
  if (event.target.closest("button, a, input, label")) return;
  if (partying()) hearMore(); // a tap on the bubble, too
  else revealPunchline();
});
onSpace(hearMore);
document.addEventListener("visibilitychange", () => (document.hidden ? current().pause() : current().resume()));
window.addEventListener("pagehide", () => {
  finish();
  current().pause();
});
window.addEventListener("pageshow", (event) => { if (event.persisted && !document.hidden) current().resume(); });
startTimeline();
startSession();
startPhotos();
startHandsFree();
startLaughing();
startSound();
startYourJokes();
startKept();
tellFirst();
if (body.dataset.mode === "mine") useMine();
else choose(kept("mode") === "mine" ? "mine" : "server");
startMoment();
showWayIn();
startParty();
keepPage();
