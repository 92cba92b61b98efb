// Buttons that copy the commands.
import { copyText } from "./copying.js";

const SAID_FOR_MS = 2000;
const news = document.getElementById("copied");

for (const block of document.querySelectorAll("pre[aria-label^=Command]")) {
  const code = block.querySelector("code"), button = document.createElement("button");
  button.type = "button";
  button.className = "copy quiet";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy the ${block.getAttribute("aria-label").toLowerCase()}`);
  let timer = null;
  button.addEventListener("click", async () => {
    const words = (await copyText(code)) ? "Copied" : "Press Ctrl+C";
    button.textContent = news.textContent = words;
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.textContent = "Copy";
      news.textContent = "";
    }, SAID_FOR_MS);
  });
  const frame = document.createElement("div");
  frame.className = "command";
  block.before(frame);
  frame.append(block, button);
}
