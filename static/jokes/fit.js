// A joke that is too long for its room is set smaller, so that the page below stays where it is.
const SMALLER = [1, 0.93, 0.86, 0.8, 0.74, 0.68];
const LEAST = 16; // pixels
const joke = document.getElementById("joke");

export function fit() {
  const { minHeight, fontSize } = getComputedStyle(joke);
  const room = parseFloat(minHeight) + 1, largest = parseFloat(fontSize) / (Number(joke.style.getPropertyValue("--fit")) || 1);
  for (const scale of SMALLER) {
    if (scale < 1 && largest * scale < LEAST) return;
    joke.style.setProperty("--fit", scale);
    if (joke.scrollHeight <= room) return;
  }
}

let width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width === width) return; // it was the height, by what is told
  width = contentRect.width;
  fit();
}).observe(joke);
