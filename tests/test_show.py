"""The page as a show, in a real Chromium: what the space bar means, what stays in its place, and words that are true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import new_context
from tests.waiting import always, eventually

pytestmark = pytest.mark.slow(60)

RIDDLE = {"id": "riddle", "text": "Why did the clock blush? Somebody saw its hands.", "source": "house"}
PLAIN = {"id": "plain", "text": "I told my kettle to calm down. It was steaming.", "source": "house"}
SHORT = {"id": "short", "text": "Moo.", "source": "house"}
LONGER_TEXT = "My neighbour borrowed my ladder again. He says that it takes some steps, and that I should rise above it."
LONGER = {"id": "longer", "text": LONGER_TEXT, "source": "house"}
LONG = {"id": "long", "text": "My neighbour borrowed my ladder again. He says that it takes steps.", "source": "house"}
READ = """([faces, message]) => import("/static/meter/reading.js").then(({ show }) => show({
  fps: 10, width: 640, height: 480, message, faces: faces.map(([id, smile]) => ({ id, smile,
  label: smile >= 0.5 ? "smile" : "no_smile", box: { left: 50 * id, top: 100, right: 50 * id + 40, bottom: 150 } })) }))"""

FACTS = """import("/static/cameras/words.js").then(({ tellFacts }) => tellFacts({ faces: [], fps: 1.3, message: "" }))"""


class Show:
    """An open page whose jokes come from a list and whose readings the test makes up."""

    def __init__(
        self, browser: Any, url: str, *, size: tuple[int, int] = (1280, 720), jokes: tuple = (), **options: Any
    ) -> None:
        self.context = new_context(browser, viewport={"width": size[0], "height": size[1]}, **options)
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
            return route.fulfill(status=self.answer) if self.answer else route.abort()
        return route.fulfill(json=self.jokes.pop(0) if self.jokes else PLAIN)

    def until(self, condition: str) -> None:
        eventually(lambda: self.page.evaluate(condition), condition)

    def read(self, *smiles: float, message: str = "") -> None:
        self.page.evaluate(READ, [[[i + 1, smile] for i, smile in enumerate(smiles)], message])

    def joke(self) -> str:
        return self.page.get_attribute("#joke", "data-id")


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
    there = show(board_app.url, jokes=(PLAIN, LONG))
    page = there.page
    page.click("#agree")
    page.keyboard.press("Space")
    eventually(lambda: there.joke() == "plain")
    assert page.is_checked("#agree"), "space after a click does not take consent back"
    there.until("!document.getElementById('shutter').hidden")
    page.click("#arm")
    page.keyboard.press("Space")
    eventually(lambda: there.joke() == "long")
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
    there.page.evaluate(FACTS)
    assert there.page.text_content("#fps") == "1 picture a second"


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


def test_the_camera_that_was_chosen_comes_again_and_another_where_it_is_gone(show, board_app):
    there = show(board_app.url)
    page = there.page
    page.check("input[name=camera][value=mine]", force=True)
    page.context.grant_permissions(["camera"])
    page.evaluate("localStorage.setItem('dad-jokes camera', 'gone')")
    page.context.add_init_script(
        """window.asked = [];
        navigator.mediaDevices.getUserMedia = async ({ video: { deviceId } }) => {
          window.asked.push(deviceId?.exact ?? "any");
          if (deviceId) throw new DOMException("gone", "OverconstrainedError");
          throw new DOMException("no", "NotReadableError");
        };"""
    )
    page.reload()
    assert page.get_attribute("body", "data-mode") == "mine", "whose camera is watched is remembered, too"
    page.click("#start")
    eventually(lambda: page.evaluate("window.asked") == ["gone", "any"])
    page.check("input[name=camera][value=server]", force=True)
    page.reload()
    assert page.get_attribute("body", "data-mode") == "server"


# --- looks ---


def test_with_forced_colours_the_meter_shows_how_full_it_is(show):
    there = show(forced_colors="active")
    there.read(0.5)
    image = cv2.imdecode(np.frombuffer(there.page.locator("#bar").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    full, empty = image[height // 2, width // 4].astype(int), image[height // 2, 3 * width // 4].astype(int)
    assert np.abs(full - empty).max() > 60
    always(lambda: there.page.get_attribute("#meter", "aria-valuenow") == "50", seconds=0.1)


# --- layout ---

PLACES = """['.joke', '#frame', '#dad', '#another'].map((one) => {
  const { left, top, right, bottom } = document.querySelector(one).getBoundingClientRect();
  return { left, top, right, bottom };
})"""


LAYOUTS = [(320, 640), (390, 844), (768, 1024), (844, 390), (640, 400), (1920, 1080), (1280, 720)]


def test_joke_picture_and_dad_stand_together_and_another_joke_moves_nothing(show):
    there = show()
    page = there.page
    for size in LAYOUTS:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        longest = LONGER if size[1] > 450 else LONG
        there.jokes += [SHORT, longest]
        if size == (1280, 720):
            there.read(0.2, 0.4, 0.6, 0.8)  # their meters stand below Dad, and stretch nothing
        page.click("#another")
        there.until("document.getElementById('joke').dataset.id === 'short'")
        before = page.evaluate(PLACES)
        assert_together(page, size, before)
        page.click("#another")
        there.until(f"document.getElementById('joke').dataset.id === '{longest['id']}'")
        assert page.evaluate(PLACES) == before, size
        letters = page.evaluate("parseFloat(getComputedStyle(document.getElementById('joke')).fontSize)")
        assert letters >= 15.9, size
        page.click("#another")  # which only brings its punchline
        there.until("!document.body.classList.contains('waiting')")


def assert_together(page: Any, size: tuple[int, int], places: list[dict[str, float]]) -> None:
    joke, frame, dad, another = places
    assert page.evaluate("document.documentElement.scrollWidth") == size[0], "nothing sticks out sideways"
    if size[1] < 450:  # the picture left, joke and Dad right
        assert max(frame["bottom"], another["bottom"], dad["top"] + 40) <= size[1], size
        assert max(frame["right"] - joke["left"], frame["right"] - dad["left"]) <= 0, size
    elif size[0] < 720:
        assert joke["bottom"] <= frame["top"] < frame["bottom"] <= dad["top"], size
    else:
        assert joke["bottom"] <= min(frame["top"], dad["top"]), size
        assert frame["right"] <= dad["left"], size
        assert max(frame["bottom"], dad["bottom"]) <= size[1], size
    if size[1] > 450 and size[0] > 320:
        sizes = [(one["right"] - one["left"], one["bottom"] - one["top"]) for one in (frame, dad)]
        assert sizes[0] == pytest.approx(sizes[1], abs=4), f"equally large, {size}"


def test_everything_else_is_folded_and_says_in_a_line_what_it_holds(show):
    there = show()
    page = there.page
    there.read(0.9)
    there.until("document.getElementById('session-short').textContent === '1 smile, best 90 %'")
    assert page.is_visible("#minute")
    assert page.is_hidden("#chart")
    page.click("#timeline-title")
    there.until("document.querySelectorAll('#chart .half').length === 1")


def test_at_first_contact_dad_knocks_and_privacy_is_one_line(show):
    page = show(size=(390, 844)).page
    assert page.is_visible(".knock")
    assert page.locator(".promise p").is_hidden()
    assert page.inner_text(".promise summary").startswith("Your pictures ")
    button = page.locator("#start").bounding_box()
    assert min(button["width"], button["height"]) >= 52
    page.click(".promise summary")
    assert page.is_visible(".promise p")


# --- a smile brings the next joke ---

TAKE_TURNS = """(readings) => import("/static/jokes/turn_taking.js").then(({ TurnTaking }) => {
  const turns = new TurnTaking();
  turns.told();
  return readings.filter(([now, smile]) => turns.read(smile, now)).map(([now]) => now);
})"""


def every(begin: int, end: int, smile: float | None) -> list[tuple[int, float | None]]:
    return [(now, smile) for now in range(begin, end, 100)]


@pytest.fixture(scope="module")
def take_turns(browser, app) -> Iterator:
    """When a joke is due, by readings of the biggest face after one was told at 0."""
    there = Show(browser, app.url)
    yield lambda *readings: there.page.evaluate(TAKE_TURNS, [*itertools.chain(*readings)])
    there.context.close()


def test_the_next_joke_comes_when_a_smile_has_risen_and_ebbed(take_turns):
    due = take_turns(every(0, 6000, 0.1), every(6000, 8000, 0.9), every(8000, 12_000, 0.1))
    assert due == [pytest.approx(9000, abs=200)]
    trembling = take_turns(every(0, 6000, 0.1), every(6000, 6200, 0.9), every(6200, 6800, 0.3), every(6800, 9000, 0.9))
    assert trembling == [], "a dip is not yet its end"
    early = take_turns(every(0, 1000, 0.9), every(1000, 6000, 0.1))
    assert early == [pytest.approx(4000, abs=200)], "a joke has some seconds"


def test_without_a_smile_the_next_joke_comes_after_twenty_seconds_of_somebody_there(take_turns):
    assert take_turns(every(0, 45_000, 0.2)) == [pytest.approx(20_000, abs=200), pytest.approx(40_000, abs=200)]
    away = take_turns(every(0, 10_000, 0.2), every(10_000, 60_000, None), every(60_000, 75_000, 0.2))
    assert away == [pytest.approx(70_000, abs=300)], "nothing is told to nobody"
    assert take_turns(every(0, 39_000, 0.9)) == [], "a smile is not interrupted for long"


def test_smiling_brings_the_next_joke_until_that_is_switched_off(show):
    there = show(jokes=[PLAIN, RIDDLE, LONG])
    page = there.page

    def smile_and_rest(joke: str) -> bool:
        there.read(0.9 if page.evaluate("performance.now() % 3000 < 1500") else 0.1)
        return there.joke() == joke

    eventually(lambda: smile_and_rest("plain"))
    eventually(lambda: smile_and_rest("riddle"))
    there.until("!document.body.classList.contains('waiting')")
    page.uncheck("#hands-free")
    page.clock.install()
    for _ in range(120):
        there.read(0.1)
        page.clock.fast_forward(250)
    assert there.joke() == "riddle"
    page.reload()
    assert not page.is_checked("#hands-free"), "the choice is remembered"
    page.check("#hands-free")
    assert page.evaluate("Object.keys(localStorage)") == [], "as at first"


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_when_a_smile_crosses_the_line_dad_laughs_and_its_points_fly_up(show, motion):
    there = show(reduced_motion=motion)
    page = there.page
    page.uncheck("#hands-free")
    page.evaluate("document.body.classList.remove('knocking')")
    for _ in range(5):
        there.read(0.2)
    assert page.is_hidden("#points")

    def laughs() -> bool:
        there.read(0.92)
        return page.is_visible("#points")

    eventually(laughs)
    assert page.text_content("#points") == "+72"
    assert page.evaluate("document.getElementById('dad').classList.contains('laughs')")
    moving = page.evaluate("document.getAnimations().length")
    assert (moving > 0) == (motion == "no-preference")
    there.until("document.getElementById('points').hidden && !document.getElementById('dad').classList.contains('laughs')")
    there.read(0.95)
    assert not page.evaluate("document.getElementById('dad').classList.contains('laughs')"), "once for each smile"


# --- sound ---

LISTEN = """
  window.spoken = []; window.hits = 0;
  window.voices = [{ localService: false, lang: "en-US" }];
  speechSynthesis.getVoices = () => window.voices;
  window.SpeechSynthesisUtterance = class extends EventTarget { constructor(text) { super(); this.text = text; } };
  speechSynthesis.speak = (words) => { window.spoken.push(words.text); words.dispatchEvent(new Event("end")); };
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (...when) { window.hits += 1; return start.apply(this, when); };
  null;
"""


def test_dad_is_silent_until_sound_is_wanted(show):
    there = show(jokes=[RIDDLE, PLAIN, RIDDLE])
    page = there.page
    page.evaluate(LISTEN)
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'riddle'")
    page.click("#another")
    assert page.evaluate("[window.spoken.length, window.hits]") == [0, 0]
    page.check("#sound")
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'plain'")
    assert page.evaluate("window.spoken") == [], "no voice that sends the text elsewhere"
    page.evaluate("window.voices = [...window.voices, { localService: true, lang: 'en-GB' }]")
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'riddle'")
    page.click("#another")
    there.until("window.hits >= 3")
    assert page.evaluate("window.spoken") == ["Why did the clock blush?", "Somebody saw its hands."]
    page.evaluate("window.hits = 0; document.dispatchEvent(new Event('shutter'))")
    there.until("window.hits === 2")
