// The space bar brings a joke, unless it means the control that the keyboard is on. A control that was only clicked does not
// count: its focus is not to be seen, and the hint beside the joke promises a joke.
const CONTROLS = "button, a, input, summary";
const OWN_KEYS = "select, textarea"; // use the keyboard however they were reached
let onControl = false; // the focus is on a control, and to be seen
let taken = false; // this press of the key is ours, until it is let go

export function onSpace(act) {
  document.addEventListener("focusin", ({ target }) => (onControl = target.matches(CONTROLS) && target.matches(":focus-visible")));
  document.addEventListener("focusout", () => (onControl = false));
  document.addEventListener("pointerdown", () => (onControl = false));
  document.addEventListener("keydown", (event) => {
    if (event.code !== "Space" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!event.repeat) taken = !onControl && !event.target.closest?.(OWN_KEYS);
    if (!taken) return;
    event.preventDefault();
    if (!event.repeat) act();
  });
  document.addEventListener("keyup", (event) => { // a browser may press a button only when the key is let go
    if (event.code === "Space" && taken) event.preventDefault();
  });
}
