"""Draw the PNG icons for phones from static/icon.svg, with Chromium.

python -m tools.draw_icons             # writes static/icons/*.png; needs requirements/dev.txt and Chromium
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

STATIC = Path(__file__).parent.parent / "static"
BACKGROUND = "#c9e4e2"  # the drawing's own background, which a maskable icon carries to its edge
# Size in pixels, the drawing's share of it, and the background. A mask may cut everything outside the circle in the inner 80
# %, which holds the face.
ICONS = {
    "icon-192.png": (192, 1.0, "transparent"),
    "icon-512.png": (512, 1.0, "transparent"),
    "maskable-512.png": (512, 0.95, BACKGROUND),
    "apple-touch.png": (180, 1.0, BACKGROUND),
}


def main() -> int:
    """Writes the icons. Exit code 0, or 2 if there is no Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is missing; install it (Debian: apt-get install chromium).", file=sys.stderr)
        return 2
    drawing = (STATIC / "icon.svg").read_text(encoding="utf-8")
    (STATIC / "icons").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for name, (size, share, background) in ICONS.items():
            page.set_viewport_size({"width": size, "height": size})
            body = f"margin: 0; height: 100vh; display: grid; place-items: center; background: {background}"
            page.set_content(f"<style>body {{ {body} }} svg {{ width: {100 * share}vw }}</style>{drawing}")
            png = page.screenshot(omit_background=True)
            (STATIC / "icons" / name).write_bytes(_smaller(png))
        browser.close()
    return 0


def _smaller(png: bytes) -> bytes:
    """The same picture, packed as tightly as PNG allows."""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None, "Chromium made a PNG"
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


if __name__ == "__main__":
    sys.exit(main())
