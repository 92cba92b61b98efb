"""The page as a show, in a real Chromium: what the space bar means, what stays in its place, and words that are true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from tests.waiting import always, eventually

pytestmark = pytest.mark.slow

RIDDLE = {"id": "riddle", "text": "Why did the clock blush? Somebody saw its hands.", "source": "house"}
PLAIN = {"id": "plain", "text": "I told my kettle to calm down. It was steaming.", "source": "house"}
READ = """([faces, message]) => import("/static/meter/reading.js").then(({ show }) => show({
  fps: 10, width: 640, height: 480, message, faces: faces.map(([id, smile]) => ({ id, smile,
  label: smile >= 0.5 ? "smile" : "no_smile", box: { left: 50 * id, top: 100, right: 50 * id + 40, bottom: 150 } })) }))"""


class Show:
    """An open page whose jokes come from a list and whose readings the test makes up."""

    def __init__(
        self, browser: Any, url: str, *, size: tuple[int, int] = (1280, 720), jokes: tuple = (), **options: Any
    ) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.on("pageerror", lambda error: pytest.fail(str(error)))
        self.jokes = list(jokes)
        self.asked = 0
        self.answer = 200
        self.page.route("**/api/v1/jokes/random", self._tell)
        self.page.goto(url, wait_until="load")
        self.until("!document.body.classList.contains('waiting')")

    def _tell(self, route: Any) -> None:
        self.asked += 1
        if self.answer != 200:
            return route.abort()
        return route.fulfill(json=self.jokes.pop(0) if self.jokes else PLAIN)

    def until(self, condition: str) -> None:
        eventually(lambda: self.page.evaluate(condition), condition)

    def read(self, *smiles: float, message: str = "") -> None:
        self.page.evaluate(READ, [[[i + 1, smile] for i, smile in enumerate(smiles)], message])

    def joke(self) -> str:
        return self.page.get_attribute("#joke", "data-id")


@pytest.fixture
def show(browser, app) -> Iterator:
    shows: list[Show] = []

    def open_page(url: str = app.url, **options: Any) -> Show:
        shows.append(Show(browser, url, **options))
        return shows[-1]

    yield open_page
    for one in shows:
        one.context.close()


@pytest.fixture(scope="module")
def board_app(tmp_path_factory) -> Iterator:
    """With a joke board and a camera that sees a face."""
    from tests.conftest import running_app

    folder = tmp_path_factory.mktemp("board")
    cv2.imwrite(str(folder / "grey.png"), np.full((480, 640, 3), 90, np.uint8))
    with running_app(folder / "log.txt", folder / "grey.png", board=folder / "board.sqlite3") as running:
        yield running


# --- the space bar ---


def test_space_means_a_joke_after_a_click_and_the_control_where_the_keyboard_is(show, board_app):
    there = show(board_app.url)
    page = there.page
    page.click("#agree")
    page.keyboard.press("Space")
    eventually(lambda: there.asked == 1)
    assert page.is_checked("#agree"), "space after a click does not take consent back"
    there.until("!document.getElementById('shutter').hidden")
    page.click("#arm")
    page.keyboard.press("Space")
    eventually(lambda: there.asked == 2)
    assert page.get_attribute("#arm", "aria-pressed") == "true", "nor disarm the shutter"
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.matches('#arm:focus-visible')")
    page.keyboard.press("Space")
    assert page.get_attribute("#arm", "aria-pressed") == "false"
    page.focus("#agree")
    page.keyboard.press("Space")
    assert not page.is_checked("#agree"), "the keyboard is on it, as its ring shows"
    assert there.asked == 2


# --- words that are true ---


def test_the_last_minute_says_at_once_who_was_seen(show):
    there = show(reduced_motion="no-preference")
    there.until("document.getElementById('minute').textContent === 'Nobody was seen yet.'")
    there.read(0.9)
    there.until("document.getElementById('minute').textContent.startsWith('Last minute:')")
    said = there.page.text_content("#minute")
    assert "highest 90 %" in said
    assert there.page.get_attribute("#chart", "aria-label") == f"Chart. {said}"


def test_the_shutter_says_armed_or_off_and_asks_for_nothing_that_is_gone(show, board_app):
    there = show(board_app.url)
    page = there.page
    there.until("!document.getElementById('shutter').hidden")
    assert "off" in page.inner_text("#arm")
    page.click("#arm")
    assert "armed" in page.inner_text("#arm")
    ring, frame = page.locator("#shutter-ring").bounding_box(), page.locator("#frame").bounding_box()
    apart = ring["y"] >= frame["y"] + frame["height"] or ring["x"] >= frame["x"] + frame["width"]
    assert apart, "its ring covers nobody's face"
    page.route("**/events", lambda route: route.abort())  # readings are the test's from here on

    def taken() -> bool:
        there.read(0.9)
        return page.locator("#strip-photos li").count() == 1

    eventually(taken)
    there.until("document.getElementById('shutter-state').textContent.endsWith('Arm the shutter for another.')")
    page.check("input[value=mine]", force=True)
    there.until("document.getElementById('shutter').hidden")
    assert page.text_content("#shutter-state") == "Picture 1 is taken."


def test_a_joke_that_did_not_come_leaves_the_last_one_and_comes_by_itself_later(show):
    there = show()
    page = there.page
    page.clock.install()
    before = page.text_content("#joke")
    there.answer = 0
    page.click("#another")
    there.until("document.getElementById('joke-news').textContent.startsWith('Dad does not answer')")
    assert page.text_content("#joke") == before
    there.answer = 200
    page.clock.run_for(3500)
    there.until("document.getElementById('joke').dataset.id === 'plain'")
    there.until("document.getElementById('joke-news').textContent === ''")


def test_what_is_wrong_with_the_camera_is_said_in_the_pages_own_letters(show, run_app):
    there = show(run_app("--source", "97").url)
    there.until("document.getElementById('words').textContent.includes(\"Camera 97 can't be opened\")")
    assert there.page.is_visible("#words")
    assert "--" not in there.page.text_content("#words"), "no options of the command line"
    away = show()
    assert away.page.locator("input[name=camera]").count() == 0, "no choice where the app has no camera"


# --- looks ---


def test_with_forced_colours_the_meter_shows_how_full_it_is(show):
    there = show(forced_colors="active")
    there.read(0.5)
    image = cv2.imdecode(np.frombuffer(there.page.locator("#bar").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    full, empty = image[height // 2, width // 4].astype(int), image[height // 2, 3 * width // 4].astype(int)
    assert np.abs(full - empty).max() > 60
    always(lambda: there.page.get_attribute("#meter", "aria-valuenow") == "50", seconds=0.1)
