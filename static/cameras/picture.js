// The picture that is shown, as it is now.
const video = document.getElementById("mine"), live = document.getElementById("live"), clean = document.getElementById("clean");
const isMine = () => document.body.dataset.mode === "mine";

export function hasPicture() {
  if (isMine()) return video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  return clean.hidden ? live.hasAttribute("src") && live.naturalWidth > 0 : Boolean(clean.dataset.frame);
}

// Draws the current picture onto `canvas`, in the camera's size. A visitor's own picture is not mirrored.
export function copyPicture(canvas) {
  const source = isMine() ? video : clean.hidden ? live : clean;
  const width = source.videoWidth ?? source.naturalWidth ?? source.width;
  const height = source.videoHeight ?? source.naturalHeight ?? source.height;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d", { alpha: false }).drawImage(source, 0, 0);
  return canvas;
}
