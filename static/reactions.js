// Was the joke funny? With the visitor's consent its numbers, never a picture, go to the joke board.
const BEFORE_MS = 3000; // of smiles before the joke came
const READ_MS = 700; // before anybody can have read it
const LASTS_MS = 15000;
const ENOUGH_MS = 3000; // of faces in view after it, or it was not heard
const LONGEST_GAP_MS = 500; // between two readings of a face that did not leave
const KEPT = "count my smiles";

let joke = null, toldAt = 0, timer = null;
let samples = []; // [time, smile] of the biggest face
const agree = document.getElementById("agree");

// Every reading of the biggest face; null: there is none.
export function noteSmile(smile) {
  const now = performance.now();
  if (smile !== null) samples.push([now, smile]);
  const oldest = (joke ? toldAt : now) - BEFORE_MS;
  while (samples.length && samples[0][0] < oldest) samples.shift();
}

export function jokeTold(id, source) {
  finish();
  if (!agree?.checked) return;
  joke = { id, source };
  toldAt = performance.now();
  timer = setTimeout(finish, LASTS_MS);
}

// Sends what is known of the joke's effect, if somebody was there before and after it.
export function finish() {
  clearTimeout(timer);
  const told = joke;
  joke = null;
  if (!told || !agree?.checked) return;
  const before = samples.filter(([time]) => time <= toldAt + READ_MS).map(([, smile]) => smile);
  const after = samples.filter(([time]) => time > toldAt + READ_MS);
  let inView = 0, smiling = 0;
  for (let i = 1; i < after.length; i += 1) {
    const gap = after[i][0] - after[i - 1][0];
    if (gap > LONGEST_GAP_MS) continue;
    inView += gap;
    if (after[i][1] >= 0.5) smiling += gap;
  }
  if (before.length < 3 || inView < ENOUGH_MS) return;
  const reaction = {
    joke: told,
    before: before.reduce((sum, smile) => sum + smile, 0) / before.length,
    peak: Math.max(...after.map(([, smile]) => smile)),
    seconds: smiling / 1000,
    agreed: true,
  };
  fetch("/api/v1/reactions", { // flat ones too, or every joke would look funny
    method: "POST",
    keepalive: true, // the page may be going
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(reaction),
  }).catch(() => {}); // a smile that is not counted is no loss
}

// What was agreed to is remembered in this browser, where it allows that, and nowhere else.
function remembered(change) {
  try {
    return change(window.localStorage);
  } catch {
    return null;
  }
}

if (agree) {
  agree.checked = remembered((storage) => storage.getItem(KEPT)) === "yes";
  agree.addEventListener("change", () => {
    if (!agree.checked) joke = null;
    remembered((storage) => (agree.checked ? storage.setItem(KEPT, "yes") : storage.removeItem(KEPT)));
  });
}
