// The way in for phones is shown where the app knows the page's address as this browser does: a proxy may hide that from it.
import { at } from "../addresses.js";

export function showWayIn() {
  const here = new URL(at(""), location.href).href;
  for (const one of document.querySelectorAll("[data-address]")) one.hidden = one.dataset.address !== here;
}
