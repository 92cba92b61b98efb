// Ask for the visitor's webcam, and say what to do about each way in which that fails.

// Why the page can't even ask for a camera, in words; empty if it can.
export function whyUnavailable() {
  if (!window.isSecureContext) {
    const port = location.port ? `:${location.port}` : "";
    return (
      "Browsers lend a camera only to pages that come over https or from the same computer. This page came over plain http. " +
      `On the computer that runs the app, open http://localhost${port}; from elsewhere, ask its owner for an https address.`
    );
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    return "This browser can't lend its camera to a page. Open the page in a current Firefox, Chrome, Edge or Safari.";
  }
  return "";
}

// A stream with one video track, from the camera `deviceId`, or if that is "" from the one that the browser prefers.
export function openCamera(deviceId) {
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  const video = { ...which, width: { ideal: 960 }, height: { ideal: 720 } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video });
}

// `[{id, name}, ...]`. Names are only known once a camera has been allowed.
export async function listCameras() {
  try {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
    return cameras.map((camera, i) => ({ id: camera.deviceId, name: camera.label || `Camera ${i + 1}` }));
  } catch {
    return [];
  }
}

const WORDS = {
  NotAllowedError:
    "This page may not use your camera. Allow it with the camera or lock sign beside the page's address, or in the settings of your " +
    "browser or computer, then try again.",
  NotFoundError: "No camera was found. Connect one, then try again.",
  OverconstrainedError: "That camera is not there any more. Try again to use another one.",
  NotReadableError: "Your camera can't be used just now; another program may be using it. End that program, then try again.",
};
WORDS.SecurityError = WORDS.NotAllowedError;
WORDS.AbortError = WORDS.NotReadableError;

export function whyNot(error) {
  return WORDS[error.name] ?? `Your camera can't be started (${error.name}). Try again, or choose another camera.`;
}
