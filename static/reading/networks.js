// The two networks in LiteRT's WebAssembly runtime, in a worker.
import { engine } from "./engine.js";
import { FINDER, SMILE_RECOGNITION } from "./rules.js";

const INPUT = 1, OUTPUT = 2; // fields of a LiteRT file's graph

// `{ readCrop, findIn }`: functions that run the networks. `files`: addresses by name, as `device.json` tells them.
export async function loadNetworks(files) {
  const kind = engine();
  self.Module = { locateFile: () => files[`${kind}.wasm`], print: () => {}, printErr: () => {} };
  const [runtime, smile, finder] = await Promise.all([import(files["litert.js"]), bytes(files["smile.tflite"]), bytes(files["finder.tflite"])]);
  await quietly(() => runtime.loadLiteRt(files[`${kind}.js`]));
  const compile = (file) => runtime.loadAndCompile(file, { accelerator: "wasm" });
  const run = async (network, values, shape) => {
    const input = new runtime.Tensor(Float32Array.from(values), shape);
    try {
      const [output] = await network.run(input);
      try {
        return output.toTypedArray();
      } finally {
        output.delete();
      }
    } finally {
      input.delete();
    }
  };
  const smiles = await compile(smile), size = SMILE_RECOGNITION.CROP_SIZE;
  const finders = new Map();
  return {
    readCrop: (pixels) => run(smiles, pixels, [1, size, size, 1]),
    findIn: async (pixels, width, height) => {
      const key = `${width}x${height}`;
      const network = finders.get(key) ?? (await compile(ofSize(finder, width, height)));
      finders.delete(key);
      finders.set(key, network);
      const [oldest] = finders.keys();
      if (finders.size > FINDER.MOST_SIZES) {
        finders.get(oldest).delete();
        finders.delete(oldest);
      }
      return run(network, pixels, [1, height, width, 1]);
    },
  };
}

async function bytes(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

// The runtime asks for a graphics processor first, which takes time, and complains where there is none. These networks take a
// few milliseconds without.
async function quietly(load) {
  const { warn } = console;
  Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  console.warn = () => {};
  try {
    return await load();
  } finally {
    console.warn = warn;
  }
}

// The finder's file for pictures of another size. LiteRT in browsers can't resize an input, but works all sizes inside out
// from the input's; so the file's words about its input and output are changed. It is a FlatBuffer: a table begins with the
// way back to the places of its fields.
export function ofSize(file, width, height) {
  const changed = file.slice(), view = new DataView(changed.buffer);
  const follow = (at) => at + view.getUint32(at, true);
  const field = (table, number) => {
    const places = table - view.getInt32(table, true);
    return table + view.getUint16(places + 4 + 2 * number, true);
  };
  const graph = follow(follow(field(follow(0), 2)) + 4);
  const tensors = follow(field(graph, 0)) + 4;
  for (const [list, cell] of [[INPUT, 1], [OUTPUT, FINDER.CELL]]) {
    const number = view.getInt32(follow(field(graph, list)) + 4, true);
    const shape = follow(field(follow(tensors + 4 * number), 0)) + 4;
    const told = [view.getInt32(shape + 4, true), view.getInt32(shape + 8, true)];
    if (told[0] !== FINDER.HEIGHT / cell || told[1] !== FINDER.WIDTH / cell) throw new Error("This is not the finder network.");
    view.setInt32(shape + 4, height / cell, true);
    view.setInt32(shape + 8, width / cell, true);
  }
  return changed;
}
