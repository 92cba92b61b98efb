// A photo-booth strip: pictures one below the other on one sheet, in columns of four, with the date.

const ROWS = 4;
const SIDE = 960; // at most so many pixels for a picture's longer side
const PAPER = "#fff8ea", INK = "#2b2118", MUTED = "#66574a";
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// `pictures`: JPEG blobs in the order they were taken; `date`: words. A JPEG blob.
export async function printStrip(pictures, date) {
  const images = [];
  try {
    for (const picture of pictures) images.push(await createImageBitmap(picture));
    const canvas = draw(images, date);
    return await new Promise((done, fail) => {
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no JPEG"))), "image/jpeg", 0.92);
    });
  } finally {
    for (const image of images) image.close();
  }
}

function draw(images, date) {
  const sizes = images.map(({ width, height }) => {
    const scale = Math.min(1, SIDE / Math.max(width, height));
    return { width: Math.round(width * scale), height: Math.round(height * scale) };
  });
  const cell = Math.max(...sizes.map((size) => size.width));
  const edge = Math.round(cell * 0.06), gap = Math.round(cell * 0.035), foot = Math.round(cell * 0.2);
  const columns = [];
  for (let i = 0; i < images.length; i += ROWS) columns.push(sizes.slice(i, i + ROWS));
  const heights = columns.map((column) => column.reduce((sum, size) => sum + size.height + gap, -gap));
  const canvas = document.createElement("canvas");
  canvas.width = 2 * edge + columns.length * (cell + gap) - gap;
  canvas.height = edge + Math.max(...heights) + foot;
  const context = canvas.getContext("2d", { alpha: false });
  context.fillStyle = PAPER;
  context.fillRect(0, 0, canvas.width, canvas.height);
  columns.forEach((column, i) => {
    let top = edge;
    column.forEach((size, j) => {
      const left = edge + i * (cell + gap) + (cell - size.width) / 2;
      context.drawImage(images[i * ROWS + j], left, top, size.width, size.height);
      top += size.height + gap;
    });
  });
  const middle = canvas.width / 2, bottom = canvas.height - foot, widest = 0.9 * canvas.width;
  context.textAlign = "center";
  context.fillStyle = INK;
  context.font = `700 ${Math.round(cell * 0.06)}px ${FONT}`;
  context.fillText("Dad Jokes for Smiles", middle, bottom + foot * 0.48, widest);
  context.fillStyle = MUTED;
  context.font = `400 ${Math.round(cell * 0.042)}px ${FONT}`;
  context.fillText(date, middle, bottom + foot * 0.78, widest);
  return canvas;
}
