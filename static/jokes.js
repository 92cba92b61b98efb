// "Another one": the next joke, without a reload.
import { finish, jokeTold } from "./reactions.js";

const $ = (id) => document.getElementById(id);
let asking = false;

export async function tellAnother() {
  if (asking) return;
  asking = true;
  finish(); // what came of the joke before
  try {
    const response = await fetch("/api/v1/jokes/random", { signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(response.statusText);
    const joke = await response.json();
    $("joke").textContent = joke.text;
    $("joke").dataset.id = joke.id;
    $("joke").dataset.source = joke.source;
    jokeTold(joke.id, joke.source);
    $("told-by").textContent = joke.source === "icanhazdadjoke" ? "icanhazdadjoke.com" : "this app's own dad";
  } catch {
    $("joke").textContent = "Dad does not answer just now. Is the app still running?";
  } finally {
    asking = false;
  }
}
