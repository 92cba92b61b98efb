// The service worker: with it the page works without a network. It comes as sw.js, and before it the app puts
// `KEPT = { version, files }`, the addresses of all that is kept. Nothing else is kept, and other requests are left alone.
// While there is a network everything comes from there, so that nothing old is shown.
const SCOPE = self.registration.scope;
const OURS = `dad-jokes ${SCOPE} `; // other apps of this host have names of their own
const NAME = OURS + KEPT.version;
const at = (path) => new URL(path, SCOPE).href;
const kept = new Set(KEPT.files.map(at));
const JOKE = at("api/v1/jokes/random"), OWN_JOKES = at("api/v1/jokes/own"), FOR_GOOD = at("device/");
const PAGE_MS = 10_000, JOKE_MS = 3000; // longer than this is no network
const NO_APP = [502, 504]; // what a proxy says then
const NOT_SOON = 60; // jokes until one may come again
const offLine = new Set(); // pages and workers that came from here: what they ask for does, too, so that all fits together
const told = [];

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => {
  const address = event.request.url.split(/[?#]/)[0];
  if (event.request.method !== "GET" || !kept.size) return;
  if (address === JOKE) event.respondWith(joke(event.request));
  else if (kept.has(address)) event.respondWith(file(event, address));
});

async function keep() {
  const cache = await caches.open(NAME);
  const asked = [...kept].map((address) => new Request(address, { cache: address.startsWith(FOR_GOOD) ? "default" : "no-cache" }));
  await cache.addAll(asked); // all or none
  await self.skipWaiting();
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(OURS) && (name !== NAME || !kept.size));
  await Promise.all(old.map((name) => caches.delete(name)));
  if (kept.size) await self.clients.claim();
  else await self.registration.unregister();
}

async function file(event, address) {
  const { request, clientId, resultingClientId } = event; // a page or a worker results
  const isPage = request.mode === "navigate", follows = !isPage && offLine.has(clientId);
  const ours = await caches.match(address, { cacheName: NAME, ignoreVary: true });
  if (ours && address.startsWith(FOR_GOOD)) return ours; // such an address says what is in the file
  const response = follows && ours ? null : await fromNetwork(request, isPage ? PAGE_MS : 0);
  if (response) return response;
  if (resultingClientId) offLine.add(resultingClientId);
  return ours ?? Response.error();
}

async function joke(request) {
  const response = await fromNetwork(request, JOKE_MS);
  if (response) return response;
  const own = await caches.match(OWN_JOKES, { cacheName: NAME });
  if (!own) return Response.error();
  const { jokes } = await own.json();
  if (!told.length) told.push(await firstJoke());
  const fresh = jokes.filter(({ id }) => !told.includes(id)), choice = fresh.length ? fresh : jokes;
  const one = choice[Math.floor(Math.random() * choice.length)];
  told.push(one.id);
  if (told.length > NOT_SOON) told.shift();
  return new Response(JSON.stringify(one), { headers: { "Content-Type": "application/json" } });
}

// The id of the joke that stands in the page that is kept.
async function firstJoke() {
  const page = await caches.match(at(""), { cacheName: NAME, ignoreVary: true });
  return /id="joke"[^>]* data-id="([^"]+)"/.exec((await page?.text()) ?? "")?.[1];
}

// The app's answer; null if none comes within `patience` milliseconds (0: however long it takes).
async function fromNetwork(request, patience) {
  let timer = null;
  const late = new Promise((resolve) => { if (patience) timer = setTimeout(resolve, patience, null); });
  const answer = fetch(request).then((response) => (NO_APP.includes(response.status) ? null : response), () => null);
  const first = await Promise.race([answer, late]);
  clearTimeout(timer);
  return first;
}
