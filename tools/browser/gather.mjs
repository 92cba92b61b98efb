// What the app serves of LiteRT's runtime, with copies compressed once: build/browser/. Run by `make browser`.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const packages = here("../../build/npm/node_modules/@litertjs/");
const target = here("../../build/browser"), unfinished = `${target}.new`;
const USED = ["litert_wasm_internal", "litert_wasm_compat_internal"]; // with relaxed SIMD, and without
const { buildSync, transformSync } = createRequire(new URL("../../build/npm/", import.meta.url))("esbuild");

// One file, without what says nothing to a browser: a worker knows no names of packages.
function runtime() {
  const options = { bundle: true, format: "esm", minify: true, write: false, logLevel: "error" };
  return Buffer.from(buildSync({ ...options, entryPoints: [`${packages}core/dist/index.js`] }).outputFiles[0].contents);
}

function engine(name) {
  const path = `${packages}core/wasm/${name}`;
  return name.endsWith(".js") ? Buffer.from(transformSync(readFileSync(path, "utf8"), { minify: true }).code) : readFileSync(path);
}

const files = new Map([["litert.js", runtime()]]);
for (const name of USED) for (const end of ["js", "wasm"]) files.set(`${name}.${end}`, engine(`${name}.${end}`));
for (const name of ["smile.tflite", "finder.tflite"]) files.set(name, readFileSync(here(`../../models/${name}`)));

rmSync(unfinished, { recursive: true, force: true });
mkdirSync(unfinished, { recursive: true });
for (const [name, bytes] of files) {
  // The app takes a compressed copy only for the very bytes that it was made from.
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 20);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  const small = brotliCompressSync(bytes, { params });
  if (!name.endsWith(".tflite")) writeFileSync(`${unfinished}/${name}`, bytes);
  writeFileSync(`${unfinished}/${hash}.br`, small);
  writeFileSync(`${unfinished}/${hash}.gz`, gzipSync(bytes, { level: 9 }));
  console.log(`${name}: ${bytes.length} bytes, ${small.length} compressed`);
}
rmSync(target, { recursive: true, force: true });
renameSync(unfinished, target);
