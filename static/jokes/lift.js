// What a joke did to a smile, from readings of one face.
export const BEFORE_MS = 3000; // of smiles before the joke came
const READ_MS = 700; // nobody can have read it before
const ENOUGH_MS = 3000; // a face must be in view for so long after it, or it was not heard
const LONGEST_GAP_MS = 500; // a face with a longer gap between two readings has left

const SMILES_FROM = 0.5; // as everywhere
const LEAST_LIFT = 0.1; // a smaller one may be chance

// `samples`: [[time, smile], ...] in order, in milliseconds; the joke began at `beganAt`, and all of it was there at `toldAt`:
// later, if its punchline had to be waited for. {before, peak, lift} from 0 to 1 (lift from -1) in thousandths, {seconds} of
// smiling after it, {laughed}: afterwards it was a smile, and clearly more of one than before. null when nobody was there before
// it or long enough after it. The joke board has the same rule (jokes/joke.py).
export function measure(samples, beganAt, toldAt) {
  const before = samples.filter(([time]) => time <= beganAt + READ_MS).map(([, smile]) => smile);
  const after = samples.filter(([time]) => time > toldAt + READ_MS);
  let inView = 0, smiling = 0;
  for (let i = 1; i < after.length; i += 1) {
    const gap = after[i][0] - after[i - 1][0];
    if (gap > LONGEST_GAP_MS) continue;
    inView += gap;
    if (after[i][1] >= 0.5) smiling += gap;
  }
  if (before.length < 3 || inView < ENOUGH_MS) return null;
  const mean = thousandths(before.reduce((sum, smile) => sum + smile, 0) / before.length);
  const peak = thousandths(Math.max(...after.map(([, smile]) => smile)));
  const lift = thousandths(peak - mean);
  return { before: mean, peak, lift, laughed: peak >= SMILES_FROM && lift >= LEAST_LIFT, seconds: smiling / 1000 };
}

// How far the highest smile lies above that before the joke, 0 to 1; above the lowest one if nobody was there before it, or no
// joke is measured just now (`beganAt` is null). `samples` as above.
export function rise(samples, beganAt) {
  const smiles = samples.map(([, smile]) => smile);
  const before = samples.filter(([time]) => beganAt !== null && time <= beganAt + READ_MS).map(([, smile]) => smile);
  const after = smiles.slice(before.length);
  if (!after.length) return 0;
  const from = before.length < 3 ? Math.min(...smiles) : before.reduce((sum, smile) => sum + smile, 0) / before.length;
  return Math.max(0, Math.max(...after) - from);
}

// A lift in whole points of the smile meter: "+72", "0", or with a minus sign.
export function points(lift) {
  const whole = Math.round(100 * lift);
  return whole ? `${whole > 0 ? "+" : "\u2212"}${Math.abs(whole)}` : "0";
}

const thousandths = (value) => Math.round(1000 * value) / 1000;
