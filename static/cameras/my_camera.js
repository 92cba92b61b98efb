// The visitor's own camera: started by a click, shown straight from the visitor's own computer, read by the app. While the
// page is hidden the camera is released; it starts again when the page is back.
import { listCameras, openCamera, whyNot, whyUnavailable } from "./camera_access.js";
import { Overlay } from "./overlay.js";
import { PictureLoop } from "./picture_loop.js";
import { DeviceLoop } from "../reading/device_loop.js";
import { Where } from "../reading/where.js";
import { partying } from "../party/partying.js";
import { keep, kept, remember } from "../remembered.js";
import { drawCurtain, nothing, openCurtain, say } from "./words.js";

const RETRY_MS = 10_000; // on the party screen
const START = "Start my camera", AGAIN = "Try again";
const OFF = "Your camera is off";
const $ = (id) => document.getElementById(id);
const frame = $("frame"), video = $("mine"), start = $("start"), choice = $("choice"), mirror = $("mirror");

export class MyCamera {
  greeting = ""; // words above the invitation, before the first start
  #show;
  #wanted = false; // started by the visitor, and not stopped
  #deviceId = kept("camera") ?? "";
  #remembered = true; // that camera was chosen in an earlier visit, and may be gone
  #stream = null;
  #loop = null;
  #attempt = 0; // a camera that comes too late for its attempt is released
  #overlay = new Overlay($("overlay"));
  #where = new Where(() => this.#stream && this.#readFrames());

  // `show(state, noReading)`: takes readings.
  constructor({ show }) {
    this.#show = show;
    start.addEventListener("click", () => this.#start());
    $("stop").addEventListener("click", () => {
      this.stop();
      this.#invite(`${OFF}.`, START);
      frame.focus({ preventScroll: true }); // not the button: the next space should tell a joke
    });
    choice.addEventListener("change", () => {
      this.#deviceId = choice.value;
      this.#remembered = false;
      keep("camera", choice.value || null);
      this.#start();
    });
    remember(mirror, "mirror", true);
    mirror.addEventListener("change", () => this.#mirror());
    video.addEventListener("loadeddata", () => this.#seen());
    video.addEventListener("pause", () => this.#stream && video.play().catch(() => {})); // by a key, or another program
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#camerasChanged());
    this.#mirror();
  }

  // The page is in sight, or this camera was chosen.
  resume() {
    if (this.#stream) return;
    if (this.#wanted) this.#start();
    else if (whyUnavailable()) this.#invite(whyUnavailable(), null);
    else this.#invite(this.greeting, START);
  }

  // The page is hidden.
  pause() {
    if (this.#stream) this.#release();
  }

  stop() {
    this.#wanted = false;
    this.#attempt += 1;
    this.#release();
  }

  async #start() {
    const changing = this.#stream !== null;
    this.#release();
    $("controls").hidden = !changing; // the focus stays where another camera was chosen
    this.#wanted = true;
    const attempt = ++this.#attempt;
    drawCurtain("Starting your camera… If your browser asks, allow it.");
    this.#show(nothing("Waiting for your camera"));
    let stream;
    try {
      stream = await this.#open();
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error);
      return;
    }
    if (attempt !== this.#attempt || document.hidden) {
      end(stream);
      return;
    }
    this.#stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.#unplugged(stream));
    video.srcObject = stream;
    video.play().catch(() => {}); // it is muted, so it may; `autoplay` tries too
    this.#running(true);
    this.#listCameras(track);
    await this.#where.ready;
    if (stream === this.#stream) this.#readFrames();
  }

  async #open() {
    try {
      return await openCamera(this.#deviceId);
    } catch (error) {
      if (!this.#remembered || error.name !== "OverconstrainedError") throw error;
      this.#deviceId = "";
      return openCamera("");
    }
  }

  #readFrames() {
    this.#loop?.stop();
    this.#loop = new (this.#where.onDevice ? DeviceLoop : PictureLoop)(video, {
      onAnswer: (answer, fps) => this.#read(answer, fps),
      onTrouble: (words) => this.#trouble(words),
    });
    this.#loop.run();
  }

  #seen() {
    if (!this.#stream) return;
    openCurtain();
    say("Your camera is on.");
    this.#show(nothing("Looking for faces…"), "One moment");
    // The button that was clicked is gone, so the focus goes to the picture.
    if ([document.body, start].includes(document.activeElement)) frame.focus({ preventScroll: true });
  }

  #read(answer, fps) {
    openCurtain();
    const { faces, width, height } = answer;
    this.#show({ faces, width, height, fps, message: "" });
    this.#overlay.show(answer);
    this.#where.measured(fps);
  }

  #trouble(words) {
    this.#overlay.show(null);
    this.#show(nothing("No reading"), "No reading just now");
    drawCurtain(words, { over: true });
  }

  #failed(error) {
    this.#release();
    // If there is no camera, one that is plugged in later starts by itself. Everything else waits for a click, for which there is
    // nobody on the party screen.
    const comesBack = ["NotFoundError", "OverconstrainedError"].includes(error.name);
    this.#wanted = comesBack || (partying() && error.name !== "NotAllowedError");
    this.#deviceId = "";
    this.#invite(whyNot(error), AGAIN);
    this.#startLater();
  }

  #startLater() {
    const attempt = this.#attempt, due = () => attempt === this.#attempt && this.#wanted && partying() && !document.hidden;
    if (this.#wanted && partying()) setTimeout(() => due() && this.#start(), RETRY_MS);
  }

  #unplugged(stream) {
    if (stream !== this.#stream) return;
    this.#release();
    this.#deviceId = "";
    this.#invite("Your camera was unplugged or switched off. Connect it again, then try again.", AGAIN);
    this.#startLater();
  }

  async #camerasChanged() {
    const attempt = this.#attempt;
    const cameras = await listCameras();
    if (attempt !== this.#attempt || document.hidden) return;
    if (this.#stream) this.#listCameras(this.#stream.getVideoTracks()[0]);
    else if (this.#wanted && !$("invitation").hidden && cameras.length) this.#start();
  }

  async #listCameras(track) {
    const cameras = await listCameras();
    choice.replaceChildren(...cameras.map(({ id, name }) => new Option(name, id)));
    choice.value = track.getSettings().deviceId ?? "";
    $("choose").hidden = cameras.length < 2;
  }

  #invite(words, button) {
    drawCurtain(words, { button, welcome: button === START });
    this.#show(nothing(OFF));
  }

  #release() {
    this.#loop?.stop();
    this.#loop = null;
    if (this.#stream) end(this.#stream);
    this.#stream = null;
    video.srcObject = null;
    this.#overlay.show(null);
    this.#running(false);
  }

  #running(running) {
    frame.classList.toggle("mine-on", running);
    $("controls").hidden = !running;
  }

  #mirror() {
    frame.classList.toggle("mirrored", mirror.checked);
    this.#overlay.mirrored = mirror.checked;
  }
}

function end(stream) {
  for (const track of stream.getTracks()) track.stop();
}
