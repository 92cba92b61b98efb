"""Screenshots of every state of the page, at every size, light, dark and in forced colours, to look at after a change.

python docs/screenshots.py [FOLDER] [--sizes 390x844,1280x720] [--schemes light,dark,forced]     # default: screenshots/all
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from demo import BROWSERS, ROOT, app
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from skimage import data

SIZES = "320x640,390x844,844x390,768x1024,1280x720,1920x1080"
SCHEMES = "light,dark,forced"
RIDDLE = {"id": "riddle", "text": "Why did the clock blush? Somebody saw its hands.", "source": "house"}
LAUGHED = [(0.1, 0.9), (0.2, 0.8), (0.1, 0.95)]  # smiles before and after a joke, for the board
SMILES = (0.2, 0.4, 0.6, 0.8)  # of several faces


class Camera:
    """Takes a page in every size and scheme. `taken`: how many files there are."""

    def __init__(self, folder: Path, sizes: list[tuple[int, int]], schemes: list[str]) -> None:
        self.folder, self.sizes, self.schemes = folder, sizes, schemes
        self.taken = 0

    def take(self, page: Page, state: str, *, whole: bool = False, anew: bool = False) -> None:
        """`anew`: a page without a state of its own, which may be loaded again."""
        for width, height in self.sizes:
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("scrollTo(0, 0)")
            for scheme in self.schemes:
                color: Literal["dark", "light"] = "dark" if scheme == "dark" else "light"
                forced: Literal["active", "none"] = "active" if scheme == "forced" else "none"
                page.emulate_media(color_scheme=color, forced_colors=forced, reduced_motion="reduce")
                if anew:  # Chromium may keep the root's background of the scheme before
                    page.reload(wait_until="load")
                page.wait_for_timeout(100)  # observers of sizes draw anew
                page.screenshot(path=self.folder / f"{state}-{width}x{height}-{scheme}.png", full_page=whole)
                self.taken += 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Take screenshots of every state of the page.")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "screenshots" / "all")
    parser.add_argument("--sizes", default=SIZES, help="in pixels (default: %(default)s)")
    parser.add_argument("--schemes", default=SCHEMES, help="of light, dark, forced (default: all)")
    arguments = parser.parse_args()
    sizes = [(int(width), int(height)) for width, _, height in (size.partition("x") for size in arguments.sizes.split(","))]
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        print("There is no Chromium here; install it, or give its path in the variable CHROMIUM.", file=sys.stderr)
        return 2
    arguments.folder.mkdir(parents=True, exist_ok=True)
    camera = Camera(arguments.folder, sizes, arguments.schemes.split(","))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream"]
        file = webcam(folder)
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*flags, f"--use-file-for-fake-video-capture={file}"]
        )
        with app("none", board=folder / "board.sqlite3") as url:
            of_own_camera(browser, url, camera)
            of_game(browser, url, camera)
            of_other_pages(browser, url, camera)
        for state, source in (("app-camera", str(folder / "face.png")), ("camera-lost", "97")):
            with app(source) as url:
                page = visit(browser, url)
                page.locator("#curtain").wait_for(state="hidden" if state == "app-camera" else "visible")
                page.wait_for_timeout(2000)  # the face is found
                camera.take(page, state)
                page.context.close()
        browser.close()
    print(f"{arguments.folder}: {camera.taken} screenshots")
    return 0


def webcam(folder: Path) -> Path:
    """A film of scikit-image's astronaut (NASA, public domain) for Chromium's webcam; beside it the same as a picture."""
    picture = cv2.resize(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)[:309, 50:462], (640, 480))
    cv2.imwrite(str(folder / "face.png"), picture)
    file = folder / "webcam.mjpeg"
    with file.open("wb") as film:
        for i in range(30):
            moved = np.roll(picture, i % 3, axis=1)
            film.write(cv2.imencode(".jpg", moved)[1].tobytes())
    return file


def new_context(browser: Browser, *, allowed: bool = True) -> BrowserContext:
    context = browser.new_context(reduced_motion="reduce", service_workers="block")
    context.grant_permissions(["camera"] if allowed else ["geolocation"])
    # The faces come from this program, in place of the app's.
    context.add_init_script('if (location.protocol !== "about:") localStorage.setItem("reading", "computer");')
    return context


def visit(browser: Browser, url: str, *, allowed: bool = True) -> Page:
    page = new_context(browser, allowed=allowed).new_page()
    page.goto(url, wait_until="load")
    page.locator("#another", has_text="Another one").wait_for()
    return page


def of_own_camera(browser: Browser, url: str, camera: Camera) -> None:
    denied = visit(browser, url, allowed=False)
    denied.click("#start")
    denied.locator("#words", has_text="may not use").wait_for()
    camera.take(denied, "denied")
    denied.context.close()
    page = visit(browser, url)
    camera.take(page, "welcome")
    page.click("#start")
    page.locator("#faces", has_text="1 face").wait_for()
    page.locator("#percent", has_text="9").wait_for()
    camera.take(page, "smile")
    page.click("#arm")
    page.locator("#strip-photos li").first.wait_for()
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    camera.take(page, "unfolded", whole=True)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = false")
    page.route("**/api/v1/analyze", lambda route: route.fulfill(json=several()))
    page.locator("#faces", has_text="4 faces").wait_for()
    camera.take(page, "several")
    page.uncheck("#hands-free")
    page.evaluate("document.querySelector('#points').textContent = '+72'; document.querySelector('#points').hidden = false")
    page.evaluate("document.querySelector('#dad').classList.add('laughs')")
    camera.take(page, "laugh")
    page.evaluate("document.querySelector('#points').hidden = true")
    page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=RIDDLE))
    page.locator("#another", has_text="Another one").wait_for()  # the last joke is told
    page.clock.install()
    page.click("#another")
    page.locator("#another", has_text="Punchline!").wait_for()
    camera.take(page, "waiting")
    page.context.close()


def several(smiles: Sequence[float] = SMILES, left: int = 30) -> dict[str, Any]:
    """An answer of the app's, of faces beside each other. `left`: where the first begins, in pixels of 640."""
    boxes = [{"top": 100, "right": left + 150 * i + 110, "bottom": 240, "left": left + 150 * i} for i in range(len(smiles))]
    faces = [
        {"id": i, "smile": smile, "label": "smile" if smile >= 0.5 else "no_smile", "box": box}
        for i, (smile, box) in enumerate(zip(smiles, boxes, strict=True))
    ]
    return {"width": 640, "height": 480, "faces": faces, "state": ""}


def of_game(browser: Browser, url: str, camera: Camera) -> None:
    """Keep a straight face, alone and for two; how they look is made up."""
    for players in (1, 2):
        context = new_context(browser)
        page, smiles = context.new_page(), [0.1] * players
        page.route("**/api/v1/analyze", answering(smiles))
        page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=RIDDLE))
        page.goto(f"{url}/play?pace=4", wait_until="load")
        page.click("#start")
        page.locator("#players li").nth(players - 1).wait_for()
        camera.take(page, f"play-choose-{players}")
        page.click("#go")
        page.locator("#progress", has_text="Joke 2 of 5").wait_for()
        page.locator("#joke .punchline").wait_for()
        with stopped(page):
            camera.take(page, f"play-telling-{players}")
        page.click("#go")
        page.locator("#go", has_text="Go on").wait_for()
        camera.take(page, f"play-paused-{players}")
        page.click("#go")
        page.locator("#joke .set-up").wait_for()
        smiles[0] = 0.92
        page.locator("#stamp").wait_for()
        with stopped(page):
            camera.take(page, f"play-out-{players}")
        page.locator("#card").wait_for()
        camera.take(page, f"play-result-{players}", whole=True)
        context.close()


@contextmanager
def stopped(page: Page) -> Iterator[None]:
    """The page's time stands still, and the game does not go on."""
    page.evaluate("{ const now = performance.now(); performance.now = () => now; }")
    yield
    page.evaluate("delete performance.now")


def answering(smiles: list[float]) -> Callable[[Route], None]:
    """Answers with faces that smile as the list says at that time; the first is where the webcam shows one."""
    return lambda route: route.fulfill(json=several(smiles, left=217))


def of_other_pages(browser: Browser, url: str, camera: Camera) -> None:
    page = visit(browser, url)
    page.goto(f"{url}/jokes")
    camera.take(page, "board-empty", whole=True, anew=True)
    for before, peak in LAUGHED:
        joke = page.request.get(f"{url}/api/v1/jokes/random").json()
        told = {
            "joke": {"id": joke["id"], "source": joke["source"]},
            "before": before,
            "peak": peak,
            "seconds": 3,
            "agreed": True,
        }
        for _ in range(3):
            page.request.post(f"{url}/api/v1/reactions", data=told)
    page.reload()
    camera.take(page, "board", whole=True, anew=True)
    page.goto(f"{url}/api")
    camera.take(page, "api", whole=True, anew=True)
    page.goto(f"{url}/nowhere")
    camera.take(page, "not-found", anew=True)
    page.context.close()


if __name__ == "__main__":
    sys.exit(main())
