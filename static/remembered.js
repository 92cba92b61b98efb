// What a visitor chose, kept in this browser if it allows that, and nowhere else. Other pages of this host may keep things of their
// own, so ours are known by name. Whoever keeps something listens to the document's "kept" event: it may be forgotten, or back.
const PREFIX = "dad-jokes ";
const WITHOUT = ["hands-free", "sound", "count my smiles", "reading"]; // older than the prefix
const key = (name) => (WITHOUT.includes(name) ? name : PREFIX + name);

function store(act) {
  try {
    return act(window.localStorage);
  } catch {
    return null;
  }
}

// A text, or null.
export function kept(name) {
  return store((storage) => storage.getItem(key(name)));
}

// `value`: a text, or null to forget it. Whether the browser did so.
export function keep(name, value) {
  const act = (storage) => (value === null ? storage.removeItem(key(name)) : storage.setItem(key(name), value));
  return store((storage) => [act(storage)]) !== null;
}

// A checkbox that is as it was left; `usual`: how it is at first. Only what differs from that is kept.
export function remember(box, name, usual) {
  const other = usual ? "no" : "yes";
  const restored = () => (kept(name) === other) !== usual;
  box.checked = restored();
  box.addEventListener("change", () => keep(name, box.checked === usual ? null : other));
  document.addEventListener("kept", () => {
    if (box.checked === restored()) return;
    box.checked = restored();
    box.dispatchEvent(new Event("change"));
  });
}

// All that is kept, as `bringBack` takes it: [[key, text], ...].
export function forgetAll() {
  const before = store((storage) =>
    Object.keys(storage).filter((one) => one.startsWith(PREFIX) || WITHOUT.includes(one)).map((one) => [one, storage.getItem(one)])) ?? [];
  for (const [one] of before) store((storage) => storage.removeItem(one));
  document.dispatchEvent(new Event("kept"));
  return before;
}

export function bringBack(before) {
  for (const [one, text] of before) store((storage) => storage.setItem(one, text));
  document.dispatchEvent(new Event("kept"));
}
