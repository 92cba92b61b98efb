// What this device keeps: the colours are chosen here, and everything is forgotten with one click.
import { bringBack, forgetAll, keep, kept } from "../remembered.js";
import { toast } from "../toast.js";

const $ = (id) => document.getElementById(id);
const themes = [...document.querySelectorAll("input[name=theme]")];

export function startKept() {
  for (const one of themes) {
    one.addEventListener("change", () => {
      keep("theme", one.value || null);
      document.dispatchEvent(new CustomEvent("theme", { detail: one.value }));
    });
  }
  document.addEventListener("kept", drawTheme);
  drawTheme();
  $("forget").addEventListener("click", () => {
    const before = forgetAll();
    toast("Everything that this device kept is forgotten.", before.length ? () => {
      bringBack(before);
      toast("It is all back.");
    } : null);
  });
}

function drawTheme() {
  const theme = kept("theme");
  for (const one of themes) one.checked = one.value === (theme ?? "");
}
