"""What reading on the visitor's own device costs and gives, in headless Chromium with a webcam that shows a face.

python -m benchmarks.on_device            # needs `make browser`, requirements/dev.txt and Chromium; half a minute

Prints readings a second for one and four faces at 640x480, the time from the click to the first marked face (a first visit,
and a later one), the page's own frames a second, what the server's processor does meanwhile, and the bytes that are loaded.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.actors.running_app import AppProcess
from common.errors import BenchmarkError, SmileError
from common.places import BROWSER_RUNTIME

_WATCHED_S = 20
_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream"]
_CAPACITY = """async ([address, faces, seconds]) => {
  const { DeviceReader } = await import("/static/reading/device.js");
  const face = await createImageBitmap(await (await fetch(address)).blob());
  const canvas = new OffscreenCanvas(640, 480), context = canvas.getContext("2d"), reader = new DeviceReader();
  const across = Math.sqrt(faces), times = [];
  await reader.load();
  const began = performance.now();
  let count = 0, seen = 0;
  for (; performance.now() - began < 1000 * seconds; count++) {
    const shift = 8 * Math.sin(count / 15);
    for (let i = 0; i < faces; i++) {
      const x = i % across, y = Math.floor(i / across);
      context.drawImage(face, x * 640 / across + shift, y * 480 / across, 640 / across, 480 / across);
    }
    const answer = await reader.frame(await createImageBitmap(canvas), count / 30);
    times.push(answer.elapsed_ms);
    seen += answer.faces.length;
  }
  const rate = 1000 * count / (performance.now() - began);
  reader.close();
  return { rate, faces: seen / count, ms: times.sort((a, b) => a - b)[times.length >> 1] };
}"""
_FIRST_MARK = """() => new Promise((resolve) => {
  const began = performance.now();
  const look = () => (document.getElementById("faces").textContent === "1 face"
    ? resolve(performance.now() - began) : requestAnimationFrame(look));
  document.getElementById("start").click();
  look();
})"""
_FRAMES = """(seconds) => new Promise((resolve) => {
  const began = performance.now();
  let count = 0;
  const next = () => (count++, performance.now() - began < 1000 * seconds
    ? requestAnimationFrame(next) : resolve(1000 * count / (performance.now() - began)));
  requestAnimationFrame(next);
})"""


def main() -> int:
    """Measures and prints. Exit code 0, or 2 if something that is needed is missing."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None or not (BROWSER_RUNTIME / "litert.js").is_file():
        print("This needs Chromium, and LiteRT's runtime: run `make browser` first.", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(chromium, _webcam(Path(folder)))
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _webcam(folder: Path) -> Path:
    """A video of two seconds in which a face moves; `face.jpg` beside it."""
    from skimage import data

    image = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    file = folder / "face.mjpeg"
    with file.open("wb") as video:
        for i in range(60):
            x = round(50 + 12 * np.sin(i / 30 * np.pi))
            video.write(cv2.imencode(".jpg", cv2.resize(image[:309, x : x + 412], (640, 480)))[1].tobytes())
    return file


def _measure(chromium: str, webcam: Path) -> None:
    from playwright.sync_api import sync_playwright

    face = webcam.read_bytes().split(b"\xff\xd9")[0] + b"\xff\xd9"
    with AppProcess(Path("none")) as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*_FLAGS, f"--use-file-for-fake-video-capture={webcam}"]
        )
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            permissions=["camera"],
            service_workers="block",  # what is kept for off line is loaded beside what is measured
        )
        context.route("**/face.jpg", lambda route: route.fulfill(body=face, content_type="image/jpeg"))
        page = context.new_page()
        for visit in ("first", "later"):
            page.goto(app.url)
            page.wait_for_selector("#reading", state="visible")
            print(f"{visit} visit, click to first marked face: {page.evaluate(_FIRST_MARK):.0f} ms")
        _watch(page, app)
        page.click("#stop")
        for faces in (1, 4):
            got = page.evaluate(_CAPACITY, ["/face.jpg", faces, 5])
            if abs(got["faces"] - faces) > 0.5:
                raise BenchmarkError(f"{got['faces']:.1f} faces were seen in a picture of {faces}.")
            print(f"{faces} face(s), 640x480: {got['rate']:.0f} readings/s, {got['ms']:.1f} ms each")
        loaded = context.new_page()
        print(f"loaded for reading: {sum(_sizes(loaded, app.url).values()) / 1e6:.2f} MB compressed")
        browser.close()


def _watch(page: Any, app: AppProcess) -> None:
    import psutil

    process = psutil.Process(app.process.pid)
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    shown = page.evaluate(_FRAMES, _WATCHED_S)
    used = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
    print(f"{page.text_content('#fps')} are read; the page draws {shown:.0f} frames/s")
    print(f"the server meanwhile: {100 * used:.2f} % of a core")


def _sizes(page: Any, url: str) -> dict[str, int]:
    """Bytes of what one browser loads of the listed files, by name."""
    page.goto(url + "/api")
    files = page.evaluate("fetch('/device.json').then((one) => one.json()).then((one) => one.files)")
    names = [name for name in files if "compat" not in name]
    lengths = {}
    for name in names:
        script = "async (address) => Number((await fetch(address)).headers.get('content-length'))"
        lengths[name] = page.evaluate(script, f"/{files[name]}")
    return lengths


if __name__ == "__main__":
    sys.exit(main())
