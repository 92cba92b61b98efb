// Has the browser keep the page for when there is no network, where the app serves what reads pictures on the device.
import { at } from "../addresses.js";
import { whyNotHere } from "../reading/device.js";
import { engine } from "../reading/engine.js";

export async function keepPage() {
  if (!navigator.serviceWorker) return; // only over https, or on the app's own computer
  try {
    if ("keeps" in document.body.dataset) await keep();
    else await forget();
  } catch { /* a browser may keep nothing; then the page needs a network, as ever */ }
}

async function keep() {
  if (navigator.connection?.saveData) return;
  if (document.readyState !== "complete") await new Promise((resolve) => window.addEventListener("load", resolve, { once: true }));
  const which = whyNotHere() ? "" : engine();
  await navigator.serviceWorker.register(`${at("sw.js")}?engine=${which}`, { scope: at(""), updateViaCache: "none" });
}

async function forget() {
  const scope = new URL(at(""), location.href).href;
  for (const one of await navigator.serviceWorker.getRegistrations()) if (one.scope === scope) await one.unregister();
  for (const name of await caches.keys()) if (name.startsWith(`dad-jokes ${scope} `)) await caches.delete(name);
}
