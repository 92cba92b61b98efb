// The worker's first file. It is no module, because LiteRT's runtime loads with importScripts, which modules don't have.
const early = [];
self.onmessage = ({ data }) => early.push(data);
import("./reader.js").then(
  ({ answer }) => {
    self.onmessage = ({ data }) => answer(data);
    early.forEach(answer);
  },
  (error) => {
    self.onmessage = ({ data }) => postMessage({ id: data.id, error: String(error) });
    for (const { id } of early) postMessage({ id, error: String(error) });
  },
);
