// The page: the camera that is shown, jokes, meters, the last minute and the session.
import { hearMore, revealPunchline, tellFirst } from "./jokes/jokes.js";
import { startHandsFree } from "./jokes/hands_free.js";
import { startSound } from "./jokes/sound.js";
import { startLaughing } from "./meter/laugh.js";
import { show } from "./meter/reading.js";
import { startCameras } from "./cameras/choice.js";
import { finish } from "./jokes/reactions.js";
import { onSpace } from "./jokes/space_bar.js";
import { keepPage } from "./offline/keep.js";
import { startPhotos } from "./reading/photos.js";
import { startSession } from "./session/session.js";
import { startTimeline } from "./session/timeline.js";

document.getElementById("another").addEventListener("click", hearMore);
document.querySelector(".joke").addEventListener("click", (event) => {
  if (!event.target.closest("button, a, input, label")) revealPunchline(); // a tap on the bubble, too
});
onSpace(hearMore);
window.addEventListener("pagehide", finish);
startTimeline();
startSession();
startPhotos();
startHandsFree();
startLaughing();
startSound();
tellFirst();
startCameras(show);
keepPage();
