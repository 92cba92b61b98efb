// Waiting for the frames of a <video>.
const NO_FRAME_MS = 3000;

// True when a frame came that is not the one numbered `known`, false when none came for a while or `signal` ended it.
export function nextFrame(video, known, signal) {
  return new Promise((resolve) => {
    const end = (came) => {
      clearTimeout(timer);
      clearInterval(looking);
      if (asked !== null) video.cancelVideoFrameCallback(asked);
      signal.removeEventListener("abort", none);
      resolve(came);
    };
    const none = () => end(false);
    const isNew = () => shownFrame(video) !== known && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    const timer = setTimeout(() => end(isNew()), NO_FRAME_MS);
    const asked = video.requestVideoFrameCallback?.(() => end(true)) ?? null;
    const looking = asked === null ? setInterval(() => isNew() && end(true), 20) : null;
    signal.addEventListener("abort", none);
  });
}

// Tells one frame from the next. A live video's time goes on even if its frames stop, so time is used only if there is no
// count.
export function shownFrame(video) {
  return video.getVideoPlaybackQuality?.().totalVideoFrames || video.currentTime;
}

export function pause(ms, signal) {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

// How many answers a second came in the last two seconds.
export class Rate {
  #at = [];

  // One more answer; the rate, 0 until there are two.
  count() {
    const now = performance.now();
    this.#at = [...this.#at, now].filter((at) => now - at < 2000);
    const [first] = this.#at;
    return now > first ? (1000 * (this.#at.length - 1)) / (now - first) : 0;
  }

  forget() {
    this.#at = [];
  }
}
