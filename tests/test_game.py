"""Keep a straight face in a real Chromium: whole games before a webcam, and every state with made-up readings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faces.finder import FinderDetector
from faces.photo import analyze_photo
from smile_recognition import SmileRecognizer
from tests import posing
from tests.conftest import RunningApp, launch_with_webcam, new_context
from tests.test_browser import SIZES
from tests.test_my_camera import ANALYZE, Visit
from tests.test_page import RIDDLE, violations
from tests.waiting import eventually

pytestmark = pytest.mark.slow

PHASE = "document.body.dataset.phase"
NEWS = "document.getElementById('game-news').textContent"
BLANK = """navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
  const paper = canvas.getContext("2d");
  const timer = setInterval(() => { paper.fillRect(0, 0, 640, 480); }, 50);
  return canvas.captureStream(20);
};"""
SHARES = """
  window.shared = [];
  navigator.canShare = ({ files }) => files.length === 1;
  navigator.share = async ({ files: [file] }) => window.shared.push([file.name, file.type, file.size]);
"""
# Once somebody is out: the progress, the news and the joke of that moment, which does not last.
FROZEN = """new Promise((done) => {
  const part = (id) => document.getElementById(id), timer = setInterval(() => {
    if (part("stamp").hidden) return;
    clearInterval(timer);
    done(["progress", "game-news", "joke"].map((id) => part(id).textContent));
  }, 10);
})"""
# Stops the page's time at once when a condition holds.
STILL = """new Promise((done) => {
  const timer = setInterval(() => {
    if (!(%s)) return;
    clearInterval(timer);
    const now = performance.now();
    performance.now = () => now;
    done();
  }, 10);
})"""
BLUE = (242, 199, 124)  # BGR, of the second player's mark


def image_of(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


# --- before a webcam ---


def test_a_whole_game_alone(app, browser, shared_videos):
    person = posing.person_of(shared_videos / "neutral_smile_neutral.mp4")
    there = Visit(browser, app.url, script=posing.script(person), start=False, accept_downloads=True)
    page = there.page
    try:
        page.click("nav a[href$='/play']")
        page.wait_for_url("**/play")
        page.goto(page.url + "?pace=4")
        page.check("input[name=jokes][value='10']", force=True)
        page.keyboard.press("Space")  # the camera and the game
        there.until("document.getElementById('progress').textContent === 'Joke 2 of 10'")
        assert page.text_content("#players .who") == "You"
        posing.smile(page)
        progress, news, fell_by = page.evaluate(FROZEN)
        assert news == "You smiled!"
        survived = int(progress.split()[1]) - 1  # on a busy machine a smile may come too late for a joke
        there.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
        posing.rest(page)
        assert page.text_content("#joke") == f"You survived {survived} of 10 jokes."
        assert page.evaluate("JSON.parse(localStorage['dad-jokes straight face'])") == {"10": survived}
        assert page.text_content("#best") == "Your best so far on this device!"
        assert " ".join(fell_by.split())[:20] in page.get_attribute("#card", "aria-label")
        with page.expect_download() as download:
            page.click("#save")
        assert download.value.suggested_filename.startswith("straight-face-")
        card = image_of(download.value.path())
        assert card.shape == (1080, 1080, 3)
        first, last = posing.SMILE
        faces = [
            cv2.resize(frame, None, fx=1.5, fy=1.5)[150:400, 330:630] for frame in person[first : last + 1 : 2]
        ]  # as there
        found = max(cv2.matchTemplate(card[80:700], face, cv2.TM_CCOEFF_NORMED).max() for face in faces)
        assert found > 0.65, "the frozen moment is on it"
        page.keyboard.press("Space")
        there.until(f"{PHASE} === 'calming'")
        assert page.is_hidden("#card")
        there.until("document.querySelector('#joke .set-up')")
        page.keyboard.press("Escape")
        assert page.evaluate(PHASE) == "choosing"
        assert page.text_content("#best-words") == f"Your best of 10, alone: {survived}"
        page.click("#forget")
        assert page.evaluate("localStorage['dad-jokes straight face']") is None
        assert {request for request in there.requests if not request.startswith(app.url)} == set()
        assert not any("api/v1/reactions" in request for request in there.requests), (
            "nobody's straight face counts for the board"
        )
        assert there.complaints == []
    finally:
        there.context.close()


@pytest.fixture(scope="module")
def two_faces(shared_videos, tmp_path_factory) -> Path:
    """For a webcam: the same person twice, side by side. The left one smiles for three seconds of eight."""
    frames = [frame[:, 120:520] for frame in posing.person_of(shared_videos / "neutral_smile_neutral.mp4")]
    path = tmp_path_factory.mktemp("webcam") / "two.mjpeg"

    def to_and_fro(first: int, last: int, i: int) -> np.ndarray:
        there = 2 * (last - first)
        return frames[first + min(i % there, there - i % there)]

    with path.open("wb") as video:
        for i in range(8 * 30):
            left = to_and_fro(*posing.NEUTRAL, i) if i < 5 * 30 else to_and_fro(*posing.SMILE, i)
            video.write(cv2.imencode(".jpg", np.hstack([left, to_and_fro(*posing.NEUTRAL, i + 7)]))[1].tobytes())
    return path


def test_a_duel_before_one_camera(app, browser, two_faces):
    chromium = launch_with_webcam(browser, two_faces)
    there = Visit(chromium, app.url + "/play", start=False, accept_downloads=True)
    page = there.page
    try:
        page.click("#go")
        there.until(f"{PHASE} === 'telling'")
        assert page.locator("#players .who").all_text_contents() == ["Player 1", "Player 2"]
        there.until("!document.getElementById('stamp').hidden")
        assert page.text_content("#game-news") == "Player 2 smiled!", "mirrored, the left one sits on the right"
        there.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
        assert page.text_content("#joke") == "Player 1 wins the duel!"
        ranking = page.locator("#ranking li").all_inner_texts()
        assert "Player 1 kept a straight face" in ranking[0]
        assert "Player 2 smiled at joke" in ranking[1]
        assert page.evaluate("localStorage['dad-jokes straight face']") is None, "a duel is nobody's best"
        with page.expect_download() as download:
            page.click("#save")
        card = image_of(download.value.path())[80:600]
        face = max(analyze_photo(card, FinderDetector(), SmileRecognizer()), key=lambda one: one.smile)
        rows, columns = np.nonzero(np.abs(card.astype(int) - BLUE).max(2) < 30)
        width = face.box.right - face.box.left
        assert (columns.min() + columns.max()) / 2 == pytest.approx((face.box.left + face.box.right) / 2, abs=0.15 * width)
        assert rows.max() == pytest.approx(face.box.bottom, abs=0.25 * width), "the loser's mark is round the loser's face"
        there.screenshot("play-duel")
        assert there.complaints == []
    finally:
        there.context.close()
        chromium.close()


def test_a_game_before_the_apps_own_camera(run_app, browser, shared_videos):
    app = run_app("--source", shared_videos / "neutral_smile_neutral.mp4")
    there = Visit(browser, app.url + "/play?pace=2", start=False)
    try:
        there.until("document.querySelectorAll('#players li').length === 1")
        there.page.click("#go")
        there.until("!document.getElementById('stamp').hidden")
        there.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
        assert there.page.text_content("#joke") == "The first joke got you."
        assert there.page.text_content("#best") == "Your best on this device: 0 of 5."
        assert ANALYZE not in " ".join(there.requests)
        assert there.complaints == []
    finally:
        there.context.close()


# --- every state, with made-up readings ---


class Table:
    """The game's page with a blank picture, in which the test puts faces; its time stands still when the test says so."""

    def __init__(self, browser: Any, app: RunningApp) -> None:
        self.smiles: list[float | None] = [0.1]
        self.context = new_context(browser, viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
        self.context.add_init_script('if (location.protocol !== "about:") localStorage.setItem("reading", "computer");')
        self.context.add_init_script(BLANK + SHARES)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.on("pageerror", lambda error: pytest.fail(str(error)))
        self.page.route(f"**{ANALYZE}", self._answer)
        self.page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=RIDDLE))
        self.page.goto(app.url + "/play?pace=4", wait_until="load")

    def _answer(self, route: Any) -> None:
        faces = [
            {"id": i, "smile": smile, "label": "smile" if smile >= 0.5 else "no_smile"}
            | {"box": {"top": 100, "right": 200 * i + 150, "bottom": 220, "left": 200 * i + 50}}
            for i, smile in enumerate(self.smiles)
            if smile is not None
        ]
        route.fulfill(json={"width": 640, "height": 480, "faces": faces, "state": ""})

    def until(self, condition: str) -> None:
        eventually(lambda: self.page.evaluate(condition), lambda: (condition, self.page.evaluate(f"[{PHASE}, {NEWS}]")))

    def still_when(self, condition: str) -> None:
        self.page.evaluate(STILL % condition)

    def go_on(self) -> None:
        self.page.evaluate("delete performance.now")


@pytest.fixture
def table(browser, app) -> Iterator[Table]:
    there = Table(browser, app)
    yield there
    there.context.close()


def assert_no_violations(page: Any, state: str) -> None:
    for size, scheme in (("phone", "dark"), ("desktop", "light")):
        page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], f"{state}, {size}, {scheme}"


@pytest.mark.timeout(600)
def test_axe_finds_nothing_in_any_state_of_a_game_and_the_keyboard_is_enough(table):
    page = table.page
    page.focus("#go")
    page.keyboard.press("Shift+Tab")
    assert_no_violations(page, "before the camera is on")
    table.smiles = [0.1, 0.1, 0.9]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "jokes"
    page.keyboard.press("ArrowLeft")
    assert page.is_checked("input[value='3']")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    table.until(f"{NEWS} === 'Player 1: stop smiling first.'")
    assert_no_violations(page, "calming")
    page.keyboard.press("Escape")
    table.until("document.querySelectorAll('#players input').length === 3")
    assert page.evaluate("document.activeElement.id") == "go"
    page.uncheck("#players li:first-child input")
    table.until("document.querySelectorAll('#players li:last-child .who')[0].textContent === 'A guest'")
    assert_no_violations(page, "three in view, one of whom is left out")
    page.focus("#go")
    page.keyboard.press("Space")
    table.still_when("document.querySelector('#joke .set-up')")
    assert_no_violations(page, "telling")
    table.go_on()
    table.still_when("document.querySelector('#joke .punchline')")
    assert_no_violations(page, "told")
    page.keyboard.press("Space")
    assert page.evaluate(PHASE) == "paused"
    assert page.text_content("#joke").startswith("Paused")
    assert_no_violations(page, "paused")
    table.go_on()
    page.keyboard.press("Space")
    table.until("document.querySelector('#joke .set-up')")
    table.smiles[0] = None
    table.still_when(f"{NEWS} === 'Dad waits for player 2.'")
    assert_no_violations(page, "waiting")
    table.go_on()
    table.smiles[0] = 0.9
    table.still_when("!document.getElementById('stamp').hidden")
    assert page.text_content("#game-news") == "Player 2 smiled!"
    assert page.evaluate("document.getAnimations().length") == 0
    assert_no_violations(page, "out")
    table.go_on()
    table.until(f"{PHASE} === 'over' && !document.getElementById('card').hidden")
    assert page.text_content("#joke") == "Player 1 wins the duel!"
    assert_no_violations(page, "over")
    page.focus("#share")
    page.keyboard.press("Enter")
    ((name, kind, size),) = eventually(lambda: page.evaluate("window.shared"))
    assert (name[:14], kind) == ("straight-face-", "image/jpeg")
    assert size > 10_000
    page.focus("#quit")
    page.keyboard.press("Enter")
    assert page.evaluate(PHASE) == "choosing"
    assert page.evaluate("document.activeElement.id") == "go"


def test_a_game_waits_pauses_and_says_why(table):
    page = table.page
    page.click("#go")
    table.until("document.querySelector('#joke .set-up')")
    table.smiles = [None]
    table.until(f"{NEWS} === 'Dad waits: come back into view.'")
    table.smiles = [0.1]
    table.until(f"{NEWS} === ''")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true });")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate(PHASE) == "paused", "a page that is not seen plays no game"
    page.evaluate("Object.defineProperty(document, 'hidden', { value: false, configurable: true });")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.route("**/api/v1/jokes/random", lambda route: route.abort())
    page.click("#quit")
    table.until("document.querySelectorAll('#players li').length === 1")
    page.click("#go")
    table.until(f"{NEWS}.startsWith('Dad does not answer')")
    page.unroute("**/api/v1/jokes/random")
    page.route("**/api/v1/jokes/random", lambda route: route.fulfill(json=RIDDLE))
    table.until("document.querySelector('#joke .set-up')")
    page.click("#quit")
    table.smiles = [0.1, 0.1]
    table.until("document.querySelectorAll('#players input').length === 2")
    page.uncheck("#players li:first-child input")
    table.until("document.querySelectorAll('#players input:checked').length === 1")
    page.click("#stop")
    page.click("#start")
    table.until("document.querySelectorAll('#players input:checked').length === 2")  # faces are numbered anew


def test_nothing_sticks_out_and_the_stage_stays_where_it_is(table):
    page, tops = table.page, {}
    table.smiles = [0.1, 0.1]
    page.click("#start")
    table.until("document.querySelectorAll('#players li').length === 2")
    for state in ("choosing", "calming", "breath", "telling"):
        if state == "calming":
            page.click("#go")
        table.still_when(f"{PHASE} === {json.dumps(state)}")
        for width, height in ((320, 640), (390, 844), (844, 390), (1280, 720), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") == width, state
            top = "document.querySelector('#frame').getBoundingClientRect().top"
            was = tops.setdefault(width, page.evaluate(top))  # letters are fitted a moment after the window's size changes
            table.until(f"Math.abs({top} - {was}) <= 1")
            if width > 1000:
                assert page.evaluate("document.querySelector('#players').getBoundingClientRect().bottom") <= height
        table.go_on()
