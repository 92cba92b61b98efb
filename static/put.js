// Words on the page, written only where they change: screen readers read out what is written.
export function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
