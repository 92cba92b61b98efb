"""Make the README's picture of the page: the real app, a real Chromium, and scikit-image's astronaut (NASA, public domain).

python docs/screenshot.py [FILE]         # default: docs/screenshot.png
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
from playwright.sync_api import sync_playwright
from skimage import data

ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, MARGIN = 1180, 22  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the README's picture of the page.")
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "docs" / "screenshot.png")
    file = parser.parse_args().file.resolve()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        sys.exit("There is no Chromium here; install it, or give its path in the environment variable CHROMIUM.")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "astronaut.png"
        cv2.imwrite(str(picture), cv2.cvtColor(data.astronaut()[:360], cv2.COLOR_RGB2BGR))
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", "0", "--source", str(picture), "--joke-url", "", "--board", "none"],
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
            take(url, chromium, file)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def take(url: str, chromium: str, file: Path) -> None:
    """A picture of the page as far as its footer, as soon as it shows a smile; every wait has Playwright's limit of 30 s."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 790})
        page.goto(url, wait_until="domcontentloaded")
        page.locator("body.smiling").wait_for()
        page.wait_for_timeout(1500)
        main_part = page.locator("main").bounding_box()
        assert main_part is not None
        # A long joke makes the page longer than the window.
        height = round(main_part["y"] + main_part["height"] + MARGIN)
        page.screenshot(path=str(file), full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        browser.close()


if __name__ == "__main__":
    main()
