// Keeps the screen awake where the browser can: over https, or on the app's own computer.
let wanted = false, asking = false, lock = null;

export function keepAwake() {
  wanted = true;
  ask();
}

export function letSleep() {
  wanted = false;
  lock?.release().catch(() => {});
}

// The system takes a lock away, too: when the page is hidden, or the battery is low.
export async function ask() {
  if (!wanted || asking || lock || document.hidden) return;
  asking = true;
  try {
    lock = (await navigator.wakeLock?.request("screen")) ?? null;
    lock?.addEventListener("release", () => (lock = null), { once: true });
    if (!wanted) letSleep();
  } catch { /* asked again later */
  } finally {
    asking = false;
  }
}

document.addEventListener("visibilitychange", ask);
