// Grey pictures `{ data: Uint8Array, width, height }`: resized, blurred and cut out, as OpenCV does it for the app.

// The grey picture of RGBA pixels, with OpenCV's weights.
export function grayOf(rgba, width, height) {
  const data = new Uint8Array(width * height);
  for (let i = 0, j = 0; i < data.length; i++, j += 4) {
    data[i] = (rgba[j] * 9798 + rgba[j + 1] * 19235 + rgba[j + 2] * 3735 + 16384) >> 15;
  }
  return { data, width, height };
}

// Python's round(): halves go to the even neighbour.
export function round(value) {
  const down = Math.floor(value), rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// The part from (left, top), of `width` x `height` pixels.
export function part(picture, left, top, width, height) {
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * picture.width + left;
    data.set(picture.data.subarray(from, from + width), y * width);
  }
  return { data, width, height };
}

// The picture with its border repeated outwards.
export function bordered(picture, top, below, left, right) {
  const width = picture.width + left + right, height = picture.height + top + below;
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = clamp(y - top, 0, picture.height - 1) * picture.width, to = y * width;
    data.fill(picture.data[from], to, to + left);
    data.set(picture.data.subarray(from, from + picture.width), to + left);
    data.fill(picture.data[from + picture.width - 1], to + left + picture.width, to + width);
  }
  return { data, width, height };
}

// Like cv2.resize: with the mean of what a pixel covers (`area`, to shrink), or between neighbours.
export function resized(picture, width, height, { area }) {
  const shrinks = area && picture.width >= width && picture.height >= height;
  const weights = shrinks ? covered : between;
  const across = weights(picture.width, width), down = weights(picture.height, height);
  const rows = new Float32Array(width * picture.height);
  for (let y = 0; y < picture.height; y++) blend(picture.data, y * picture.width, 1, across, rows, y * width, 1);
  const data = new Uint8ClampedArray(width * height); // which rounds
  for (let x = 0; x < width; x++) blend(rows, x, width, down, data, x, width);
  return { data: new Uint8Array(data.buffer), width, height };
}

// Each pixel of a line of `to` pixels as `{ first, shares }` of the pixels of a line of `from`.
function covered(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const begin = i * scale, end = Math.min(begin + scale, from);
    const first = Math.floor(begin + 1e-6), last = Math.min(Math.ceil(end - 1e-6), from);
    const shares = [];
    for (let j = first; j < last; j++) shares.push((Math.min(end, j + 1) - Math.max(begin, j)) / scale);
    return { first, shares };
  });
}

function between(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const at = clamp((i + 0.5) * scale - 0.5, 0, from - 1), first = Math.min(Math.floor(at), Math.max(0, from - 2));
    return { first, shares: from > 1 ? [1 - (at - first), at - first] : [1] };
  });
}

function blend(source, from, step, weights, target, to, stride) {
  for (let i = 0; i < weights.length; i++) {
    const { first, shares } = weights[i];
    let sum = 0;
    for (let j = 0; j < shares.length; j++) sum += shares[j] * source[from + (first + j) * step];
    target[to + i * stride] = sum;
  }
}

// The mean over squares of `side` pixels, an odd number, mirrored at the border like cv2.blur.
export function blurred(picture, side) {
  const { width, height } = picture, half = side >> 1;
  const rows = new Float64Array(width * height), data = new Uint8ClampedArray(width * height);
  slide(picture.data, rows, width, height, 1, width, half, 1);
  slide(rows, data, height, width, width, 1, half, side * side);
  return { data: new Uint8Array(data.buffer), width, height };
}

function slide(source, target, length, lines, step, stride, half, divisor) {
  const inside = (i) => mirrored(i, length) * step;
  for (let line = 0; line < lines; line++) {
    const from = line * stride;
    let sum = 0;
    for (let i = -half; i <= half; i++) sum += source[from + inside(i)];
    for (let i = 0; i < length; i++) {
      target[from + i * step] = sum / divisor;
      sum += source[from + inside(i + half + 1)] - source[from + inside(i - half)];
    }
  }
}

function mirrored(i, length) {
  if (length === 1) return 0;
  while (i < 0 || i >= length) i = i < 0 ? -i : 2 * length - 2 - i;
  return i;
}

// `size` x `size` pixels, each at `map` (2x3, rows one after the other) of its place; the border is repeated.
export function warped(picture, map, size) {
  const { data, width, height } = picture, out = new Uint8ClampedArray(size * size);
  for (let j = 0; j < size; j++) {
    for (let i = 0; i < size; i++) {
      const x = map[0] * i + map[1] * j + map[2], y = map[3] * i + map[4] * j + map[5];
      const x0 = Math.floor(x), y0 = Math.floor(y), u = x - x0, v = y - y0;
      const left = clamp(x0, 0, width - 1), right = clamp(x0 + 1, 0, width - 1);
      const above = clamp(y0, 0, height - 1) * width, below = clamp(y0 + 1, 0, height - 1) * width;
      out[j * size + i] = (1 - v) * ((1 - u) * data[above + left] + u * data[above + right]) +
        v * ((1 - u) * data[below + left] + u * data[below + right]);
    }
  }
  return { data: new Uint8Array(out.buffer), width: size, height: size };
}

// Mirrored left to right.
export function flipped(picture) {
  const data = new Uint8Array(picture.data.length);
  for (let y = 0; y < picture.height; y++) {
    const row = y * picture.width;
    for (let x = 0; x < picture.width; x++) data[row + x] = picture.data[row + picture.width - 1 - x];
  }
  return { ...picture, data };
}

// The standard deviation of the grey levels.
export function deviation({ data }) {
  let sum = 0, squares = 0;
  for (const value of data) { sum += value; squares += value * value; }
  return Math.sqrt(Math.max(0, squares / data.length - (sum / data.length) ** 2));
}
