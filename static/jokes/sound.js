// Dad's voice, a rimshot after the punchline and the shutter's click. Off until the visitor wants them.
import { remember } from "../remembered.js";

const LONGEST_SPEECH_MS = 8000; // some browsers never say that a voice has ended
const box = document.getElementById("sound");
let context = null, timer = null;

export function startSound() {
  remember(box, "sound", false);
  box.addEventListener("change", () => (box.checked ? wake() : hush()));
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => box.checked && wake()); // not before one
  document.addEventListener("telling", ({ detail: { text } }) => {
    if (!box.checked) return;
    hush();
    speak(text);
  });
  document.addEventListener("joke", () => {
    if (!box.checked) return;
    const punchline = document.querySelector("#joke .punchline")?.textContent;
    const last = punchline ? speak(punchline) : null;
    clearTimeout(timer);
    timer = setTimeout(rimshot, last ? LONGEST_SPEECH_MS : 1500);
    last?.addEventListener("end", () => {
      clearTimeout(timer);
      rimshot();
    });
  });
  document.addEventListener("shutter", () => box.checked && click());
}

function wake() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
}

export function hush() {
  clearTimeout(timer);
  window.speechSynthesis?.cancel();
}

// Null where the computer has no English voice of its own: others send the text to a company.
function speak(text) {
  const voice = window.speechSynthesis?.getVoices().find(({ localService, lang }) => localService && /^en\b/i.test(lang));
  if (!voice) return null;
  const words = new SpeechSynthesisUtterance(text);
  words.voice = voice;
  words.lang = voice.lang;
  words.pitch = 0.7;
  words.rate = 0.95;
  window.speechSynthesis.speak(words);
  return words;
}

function rimshot() {
  hit({ after: 0, lasts: 0.12, from: 180, loud: 0.5 });
  hit({ after: 0.16, lasts: 0.12, from: 180, loud: 0.5 });
  hit({ after: 0.42, lasts: 0.9, from: 5000, loud: 0.35 });
}

function click() {
  hit({ after: 0, lasts: 0.03, from: 2500, loud: 0.5 });
  hit({ after: 0.09, lasts: 0.04, from: 1500, loud: 0.4 });
}

// Noise above `from` hertz that dies away in `lasts` seconds.
function hit({ after, lasts, from, loud }) {
  if (context?.state !== "running") return;
  const at = context.currentTime + after;
  const buffer = context.createBuffer(1, Math.ceil(lasts * context.sampleRate), context.sampleRate);
  const noise = buffer.getChannelData(0);
  for (let i = 0; i < noise.length; i += 1) noise[i] = 2 * Math.random() - 1;
  const source = new AudioBufferSourceNode(context, { buffer });
  const filter = new BiquadFilterNode(context, { type: "highpass", frequency: from });
  const volume = new GainNode(context, { gain: loud });
  volume.gain.setValueAtTime(loud, at);
  volume.gain.exponentialRampToValueAtTime(0.001, at + lasts);
  source.connect(filter).connect(volume).connect(context.destination);
  source.start(at);
}
