// Copies the text of `element`. False where only the visitor's own hand can.
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent.trim());
    return true;
  } catch { // over plain http in a LAN there is no clipboard for scripts; browsers still copy what is selected
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
