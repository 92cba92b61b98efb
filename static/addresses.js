// The app's own addresses, also where a proxy serves it under a path of its own: scripts lie one step below it.
const root = new URL("../", import.meta.url);

export function at(path) {
  return new URL(path, root).pathname;
}
