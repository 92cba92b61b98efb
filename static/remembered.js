// What a visitor chose, kept in this browser if it allows that, and nowhere else.
export function store(act) {
  try {
    return act(window.localStorage);
  } catch {
    return null;
  }
}

// A checkbox that is as it was left; `usual`: how it is at first. Only what differs from that is kept.
export function remember(box, name, usual) {
  const other = usual ? "no" : "yes";
  box.checked = (store((storage) => storage.getItem(name)) === other) !== usual;
  box.addEventListener("change", () =>
    store((storage) => (box.checked === usual ? storage.removeItem(name) : storage.setItem(name, other))));
}
