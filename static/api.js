// Buttons that copy the commands.
const SAID_FOR_MS = 2000;
const news = document.getElementById("copied");

async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch { // over plain http in a LAN there is no clipboard for scripts; browsers still copy what is selected
    getSelection().selectAllChildren(code);
    return document.execCommand("copy");
  }
}

for (const block of document.querySelectorAll("pre[aria-label^=Command]")) {
  const code = block.querySelector("code"), button = document.createElement("button");
  button.type = "button";
  button.className = "copy quiet";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy the ${block.getAttribute("aria-label").toLowerCase()}`);
  let timer = null;
  button.addEventListener("click", async () => {
    const words = (await copy(code)) ? "Copied" : "Press Ctrl+C";
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
