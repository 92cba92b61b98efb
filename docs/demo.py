"""Make the README's moving picture: the real app, Chromium, and scikit-image's astronaut (NASA, public domain) as webcam.

python docs/demo.py [FILE]         # default: docs/demo.webp
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright
from skimage import data

ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW: ViewportSize = {"width": 1180, "height": 820}
SHOWN_WIDTH = 860  # pixels of the moving picture
FRAME_MS = 250
MOST_FRAMES = 60
AFTER_PICTURE = 12  # frames
MOST_JOKES = 200
WEBCAM_FPS = 30  # the rate at which Chromium plays a .mjpeg


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the README's moving picture.")
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "docs" / "demo.webp")
    file = parser.parse_args().file.resolve()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        sys.exit("There is no Chromium here; install it, or give its path in the environment variable CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder, app() as url:
        webcam = Path(folder) / "webcam.mjpeg"
        webcam.write_bytes(b"".join(webcam_frames()))
        save(record(url, chromium, webcam), file)


def webcam_frames() -> Iterator[bytes]:
    """JPEGs of 640x480: ten seconds of a camera that finds the astronaut, stays, and turns away again."""
    picture = cv2.resize(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR), (900, 900), interpolation=cv2.INTER_CUBIC)
    away, there = np.array([255.0, 415.0]), np.array([75.0, 5.0])
    for i in range(10 * WEBCAM_FPS):
        seconds = i / WEBCAM_FPS
        nearness = np.clip(min((seconds - 3.0) / 1.2, (10 - seconds) / 1.2), 0, 1)
        nearness = nearness * nearness * (3 - 2 * nearness)
        x, y = (away + (there - away) * nearness + 2 * np.sin([1.3 * seconds, 1.7 * seconds])).round().astype(int)
        yield cv2.imencode(".jpg", picture[max(0, y) : max(0, y) + 480, x : x + 640])[1].tobytes()


@contextmanager
def app(source: str = "none", *, board: str | Path = "none", options: Sequence[str] = ()) -> Iterator[str]:
    """Runs the app in a process of its own and yields its address. `options`: more of them."""
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", "--source", source, "--joke-url", "", "--board", str(board), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("SMILE_")},
    )
    try:
        assert process.stdout is not None
        url = next((word for word in process.stdout.readline().split() if word.startswith("http://")), None)
        if url is None:
            sys.exit("The app did not start; `python app.py` says why.")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def record(url: str, chromium: str, webcam: Path) -> list[Image.Image]:
    """Frames from before the face comes until the shutter has taken its picture. Waits end after Playwright's 30 s."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
                *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
                f"--use-file-for-fake-video-capture={webcam}",
            ],
        )
        page = browser.new_page(viewport=WINDOW, color_scheme="light")
        page.goto(url, wait_until="domcontentloaded")
        page.locator("#start").click()
        page.locator("#arm").click()
        # The webcam's film runs in a loop. Begin where nobody is in view.
        page.locator("#faces", has_text="1 face").wait_for()
        page.locator("#faces", has_text="No faces").wait_for()
        if page.locator("#arm").get_attribute("aria-pressed") == "false":  # the shutter took its picture on the way
            page.locator("#strip-clear").click()
            page.locator("#strip-undo").wait_for(state="hidden")
            page.locator("#arm").click()
        page.locator(".session summary").click()
        page.locator("#anew").click()
        page.locator(".session summary").click()
        page.locator("#frame").focus()  # not a button, because the space bar would press it
        page.evaluate("scrollTo(0, 0)")
        tell_joke_with_punchline(page)
        frames: list[Image.Image] = []
        left = MOST_FRAMES
        while left:
            frames.append(take(page))
            left = min(left - 1, AFTER_PICTURE) if page.locator("#strip-photos li").count() else left - 1
        browser.close()
    return frames


def tell_joke_with_punchline(page: Page) -> None:
    for _ in range(MOST_JOKES):
        before = page.locator("#joke").get_attribute("data-id") or ""
        page.keyboard.press("Space")
        expect(page.locator("#joke")).not_to_have_attribute("data-id", before)
        if page.locator("#joke .room").count():
            return
    sys.exit("No joke with a punchline was told; give the command again.")


def take(page: Page) -> Image.Image:
    page.wait_for_timeout(FRAME_MS - 100)  # taking a frame lasts about as long as the rest
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return picture.resize((SHOWN_WIDTH, round(picture.height * SHOWN_WIDTH / picture.width)), Image.Resampling.LANCZOS)


def save(frames: list[Image.Image], file: Path) -> None:
    frames[0].save(
        file, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, quality=62, method=6, minimize_size=True
    )
    print(f"{file}: {len(frames)} frames, {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
