// Which camera is shown: the app's or the visitor's own. One at a time, and none while the page is hidden.
import { MyCamera } from "./my_camera.js";
import { ServerCamera } from "./server_camera.js";

const WHY_MINE = { // by what the app was started with
  auto: "The computer that runs this app has no camera that works. You can use your own.",
  none: "This app was started without a camera. You can use your own.",
};
const body = document.body;

// `show(state, noReading)`: takes every reading. `state`: {faces: [{id, smile, label, box}, ...] the biggest first, fps, message:
// why nothing can be read, or "", width, height of the picture}. `noReading`: that in two or three words.
export function startCameras(show) {
  const switches = [...document.querySelectorAll("input[name=camera]")];
  const cameras = {
    server: new ServerCamera({ show, onNoCamera: body.dataset.source === "auto" ? useMine : null }),
    mine: new MyCamera({ show }),
  };
  const current = () => cameras[body.dataset.mode];

  function choose(mode) {
    if (mode !== body.dataset.mode) current().stop();
    body.dataset.mode = mode;
    for (const one of switches) one.checked = one.value === mode;
    if (!document.hidden) cameras[mode].resume(); // a tab opened in the background leaves the camera alone
  }

  function useMine() {
    cameras.mine.greeting = WHY_MINE[body.dataset.source];
    choose("mine");
  }

  for (const one of switches) {
    one.addEventListener("change", () => {
      cameras.server.onNoCamera = null; // a choice made by hand holds
      choose(one.value);
    });
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? current().pause() : current().resume()));
  window.addEventListener("pagehide", () => current().pause());
  window.addEventListener("pageshow", (event) => { if (event.persisted && !document.hidden) current().resume(); });
  if (body.dataset.mode === "mine") useMine();
  else choose("server");
}
