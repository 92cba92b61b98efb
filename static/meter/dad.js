// Dad's face: he looks how you look. Deadpan at 0 %, a roar of laughter at 100 %, and asleep while nobody is there.
const LAUGHS = 0.75; // from here on his eyes are shut with laughing
const $ = (id) => document.getElementById(id);

// `smile`: 0 to 1; null: nobody is there.
export function drawDad(smile) {
  const s = smile ?? 0;
  const half = 20 + 20 * s, corner = 157 - 9 * s, upper = corner + 2 + 8 * s, lower = corner + 2 + 62 * s;
  $("mouth").setAttribute("d", crescent(half, corner, upper, lower));
  $("teeth").setAttribute("d", crescent(half - 6, corner + 3, upper + 1, upper + 8 + 16 * s));
  $("teeth").setAttribute("opacity", s > 0.35 ? 1 : 0); // where the mouth is open enough
  $("whisker-left").setAttribute("transform", `rotate(${n(16 * s)} 120 132)`);
  $("whisker-right").setAttribute("transform", `rotate(${n(-16 * s)} 120 132)`);
  $("brows").setAttribute("transform", `translate(0 ${n(-9 * s)})`);
  $("cheeks").setAttribute("opacity", n(s));
  $("dad").setAttribute("data-eyes", smile === null ? "asleep" : s >= LAUGHS ? "laughing" : "open");
}

// Between two curves from corner to corner, which lie at `corner`, `half` to either side of the face's middle.
function crescent(half, corner, upper, lower) {
  const left = `${n(120 - half)} ${n(corner)}`, right = `${n(120 + half)} ${n(corner)}`;
  return `M${left}Q120 ${n(upper)} ${right}Q120 ${n(lower)} ${left}Z`;
}

const n = (value) => value.toFixed(1);
