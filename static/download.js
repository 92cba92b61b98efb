// Files that the page makes itself, and their names.
const KEEP_ADDRESS_MS = 60_000; // while the browser writes the file

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_ADDRESS_MS);
}

// 2026-11-21-140512, in local time.
export function stamp(date) {
  const local = new Date(date - 60_000 * date.getTimezoneOffset());
  return local.toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
}
