// Light, dark, or as the device has it. No module: it runs before the page is drawn, so that nothing flashes.
(() => {
  const SCHEMES = ["light", "dark"];
  function draw(theme) {
    const chosen = SCHEMES.includes(theme);
    document.documentElement.style.colorScheme = chosen ? theme : "";
    for (const one of document.querySelectorAll("[data-scheme]")) {
      const { scheme } = one.dataset;
      one.media = chosen ? (scheme === theme ? "all" : "not all") : `(prefers-color-scheme: ${scheme})`;
    }
  }
  function drawKept() {
    try {
      draw(localStorage.getItem("dad-jokes theme"));
    } catch { /* a browser may keep nothing */ }
  }
  drawKept();
  document.addEventListener("kept", drawKept);
  document.addEventListener("theme", ({ detail }) => draw(detail));
})();
