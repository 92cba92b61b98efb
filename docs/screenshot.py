"""Make the README's picture of the page: the real app, a real Chromium, and scikit-image's astronaut (NASA, public domain).

python docs/screenshot.py            # writes docs/screenshot.png
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

ROOT = Path(__file__).parent.parent


def main() -> None:
    from playwright.sync_api import sync_playwright
    from skimage import data

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "astronaut.png"
        cv2.imwrite(str(picture), cv2.cvtColor(data.astronaut()[:360], cv2.COLOR_RGB2BGR))
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", "0", "--source", str(picture), "--joke-url", ""],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                    args=["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
                )
                page = browser.new_page(viewport={"width": 1180, "height": 790})
                page.goto(url, wait_until="domcontentloaded")
                page.locator("body.smiling").wait_for()
                page.wait_for_timeout(1500)
                page.screenshot(path=str(ROOT / "docs" / "screenshot.png"))
                browser.close()
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
