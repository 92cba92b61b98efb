// The app's own addresses, also if a proxy serves it under a path of a host: scripts lie one step below that path.
const root = new URL("../", import.meta.url);

export function at(path) {
  return new URL(path, root).pathname;
}
