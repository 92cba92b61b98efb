"""The page can be used by all: with a screen reader, in the dark, by touch, on any screen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from jokes.board import JokeBoard
from jokes.joke import Reaction
from jokes.sources import house_jokes
from tests.accessibility import assert_no_violations, violations
from tests.browsers import save_screenshot
from tests.pages import READ, UNFOLD, WIDTHS, opened_pages, read, until
from tests.shows import RIDDLE
from tests.visits import Visit, WebcamVisit

pytestmark = pytest.mark.slow(50)


@pytest.fixture
def visit(browser, app) -> Iterator:
    yield from opened_pages(browser, app)


PAINTED = """(() => {
  const { width, height } = document.getElementById("marks");
  return document.getElementById("marks").getContext("2d").getImageData(0, 0, width, height).data.some((one) => one > 0);
})()"""
ENDLESS_BEAT = """{
  const real = setTimeout;
  window.setTimeout = (act, ms, ...rest) => ms === 2500 ? 0 : real(act, ms, ...rest);
}"""


@pytest.fixture(scope="session")
def three_faces(tmp_path_factory, astronaut):
    path = tmp_path_factory.mktemp("picture") / "three.jpg"
    one = astronaut[:300, 100:400]
    smaller = cv2.resize(astronaut[:400, :512], (384, 300))
    cv2.imwrite(str(path), np.hstack([one, smaller, one[:, ::-1]]))
    return path


def test_axe_would_find_what_is_wrong(visit):
    page = visit()
    page.evaluate("document.getElementById('party').textContent = ''; document.body.style.color = '#ddd'")
    found = violations(page)
    assert any(one.startswith("button-name") for one in found)
    assert any(one.startswith("color-contrast") for one in found)


@pytest.mark.timeout(900)
def test_axe_finds_nothing_against_wcag_aa(run_app, browser, with_webcam, three_faces, tmp_path):
    app = run_app("--source", three_faces, "--board", tmp_path / "board.sqlite3")
    here = Visit(browser, "about:blank")
    try:
        here.page.route("**/events", lambda route: None)
        here.page.route("**/video_feed*", lambda route: None)
        here.page.goto(app.url)
        assert_no_violations(here.page, "while it starts")
        here.page.evaluate(READ, [[], "Camera 0 can't be opened."])
        assert_no_violations(here.page, "no picture")
        here.page.unroute_all()
        here.page.goto(app.url)
        here.until("/^[23] faces/.test(document.getElementById('faces').textContent)")
        assert here.page.is_visible("#people")
        here.until(PAINTED)  # each box in the picture has its face's mark
        assert_no_violations(here.page, "several faces", everywhere=True)
        here.page.click("#favourite")
        here.page.click("#not-funny")
        here.page.evaluate(UNFOLD)
        assert here.page.is_visible("#toast-undo")
        assert_no_violations(here.page, "unfolded", everywhere=True)
        here.page.goto(app.url + "/?party")
        here.until("/^[23] faces/.test(document.getElementById('faces').textContent)")
        assert_no_violations(here.page, "the party screen")
        here.page.goto(app.url)
        here.page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=RIDDLE))
        here.wait_for_punchline()
        here.page.evaluate(ENDLESS_BEAT)
        here.page.click("#another")
        here.until("document.body.classList.contains('waiting')")
        assert_no_violations(here.page, "while the punchline is waited for")
        assert here.page.evaluate("document.body.classList.contains('waiting')")
        here.page.goto(app.url + "/jokes")
        assert_no_violations(here.page, "an empty joke board")
        board = JokeBoard(str(tmp_path / "board.sqlite3"))
        for number, joke in enumerate(house_jokes()[:6]):
            for _ in range(5 - number):
                board.add(joke, Reaction(before=0.1, peak=0.9 - 0.3 * (number == 2), seconds=2))
        here.page.reload()
        assert here.page.is_visible("#podium")
        here.page.click("summary")
        assert_no_violations(here.page, "a joke board")
        for path in ("/api", "/nothing-here"):
            here.page.goto(app.url + path)
            assert_no_violations(here.page, path)
    finally:
        here.context.close()
    mine = WebcamVisit(with_webcam, app.url, start=False)
    try:
        mine.page.check("input[value=mine]", force=True)
        assert_no_violations(mine.page, "the invitation")
        mine.start()
        mine.wait_for_face()
        assert_no_violations(mine.page, "the own camera")
    finally:
        mine.context.close()


LETTERS = "parseFloat(getComputedStyle(document.getElementById('joke')).fontSize)"
# The joke's letters if it fits as it is; how far down picture, joke and meter begin; and where the picture ends.
PLACES = f"""(() => {{
  document.getElementById("joke").style.removeProperty("--fit");
  const parts = ["#frame", "#joke", "#meter"].map((one) => document.querySelector(one).getBoundingClientRect());
  return [{LETTERS}, parts.map(({{ top }}) => top), parts[0].bottom];
}})()"""


def test_the_page_fits_from_320_pixels_to_a_wall(visit):
    page = visit(size="320", color_scheme="dark")
    for size, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        read(page, [[id, id / 10] for id in range(1, 5)])
        assert page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out sideways"
        until(page, f"{LETTERS} >= 16")  # of any joke, also of a long one that is set smaller
        letters, tops, bottom = page.evaluate(PLACES)
        assert letters >= 20, f"of a joke that fits as it is, {size}"
        if size == "wall":
            assert letters >= 28, "readable from the last row"
        if width > 1000:
            assert max(tops) < height, f"picture, joke and meter are in sight together, {size}"
            assert bottom <= height, size
        save_screenshot(page, f"page-fits-{size}")


def test_on_a_laptop_a_running_camera_leaves_joke_and_meter_in_sight(with_webcam, app):
    there = WebcamVisit(with_webcam, app.url)
    try:
        there.page.set_viewport_size({"width": 1280, "height": 720})
        there.wait_for_face()
        for part in ("#frame", "#joke", "#meter", "#another"):
            box = there.page.locator(part).bounding_box()
            assert box["y"] + box["height"] <= 720, part
    finally:
        there.context.close()


def test_everything_can_be_reached_and_seen_by_touch(visit):
    page = visit(size="320", has_touch=True, is_mobile=True)
    small = page.eval_on_selector_all(
        "button, nav a, .switch label",
        """all => all.filter((one) => one.offsetParent && (one.offsetHeight < 36 || one.offsetWidth < 44))
          .map((one) => one.textContent.trim())""",
    )
    assert small == []
    assert page.is_hidden(".hint"), "no space bar is spoken of"


def test_the_page_can_be_installed_on_a_phone(visit, app):
    page = visit()
    address = page.get_attribute("link[rel=manifest]", "href")
    response = page.request.get(app.url + address)
    assert response.headers["content-type"] == "application/manifest+json"
    manifest = json.loads(response.text())
    assert (manifest["start_url"], manifest["display"]) == ("../", "standalone"), "from where the manifest lies"
    purposes = set()
    for icon in manifest["icons"]:
        picture = page.request.get(f"{app.url}/static/{icon['src']}")
        assert picture.headers["content-type"].startswith(icon["type"])
        purposes.add(icon["purpose"])
        if icon["type"] == "image/png":
            image = cv2.imdecode(np.frombuffer(picture.body(), np.uint8), cv2.IMREAD_UNCHANGED)
            assert icon["sizes"] == f"{image.shape[1]}x{image.shape[0]}"
            assert len(picture.body()) < 60_000
            if icon["purpose"] == "maskable":
                assert image.shape[2] == 3 or (image[..., 3] == 255).all(), "a mask finds colour everywhere"
    assert purposes == {"any", "maskable"}
    schemes = page.eval_on_selector_all("meta[name=theme-color]", "all => all.map((one) => one.media)")
    assert schemes == ["(prefers-color-scheme: light)", "(prefers-color-scheme: dark)"]
    apple = page.request.get(app.url + page.get_attribute("link[rel=apple-touch-icon]", "href"))
    assert apple.ok
    client = page.context.new_cdp_session(page)
    assert client.send("Page.getAppManifest")["errors"] == [], "its policy lets the browser read the manifest"
    reasons = [one["errorId"] for one in client.send("Page.getInstallabilityErrors")["installabilityErrors"]]
    assert set(reasons) <= {"in-incognito"}
