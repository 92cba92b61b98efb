"""The page as a show, in a real Chromium: what the space bar means, what stays in its place, and words that are true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from tests.shows import LONG, LONGER, PLAIN, RIDDLE, SHORT
from tests.visits import TO_ITS_END
from tests.waiting import eventually

pytestmark = pytest.mark.slow(40)
FACTS = """import("/static/cameras/words.js").then(({ tellFacts }) => tellFacts({ faces: [], fps: 1.3, message: "" }))"""


@pytest.fixture(scope="module")
def board_app(tmp_path_factory) -> Iterator:
    """With a joke board and a camera that sees a face."""
    from tests.running import running_app

    folder = tmp_path_factory.mktemp("board")
    cv2.imwrite(str(folder / "grey.png"), np.full((480, 640, 3), 90, np.uint8))
    with running_app(folder / "log.txt", folder / "grey.png", board=folder / "board.sqlite3") as running:
        yield running


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


def test_with_forced_colours_the_meter_shows_how_full_it_is(show):
    there = show(forced_colors="active")
    there.read(0.5)
    image = cv2.imdecode(np.frombuffer(there.page.locator("#bar").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    full, empty = image[height // 2, width // 4].astype(int), image[height // 2, 3 * width // 4].astype(int)
    assert np.abs(full - empty).max() > 60
    assert there.page.get_attribute("#meter", "aria-valuenow") == "50"


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
        page.click("#another")
        there.until("document.getElementById('joke').dataset.id === 'plain'")


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
    page = show(size=(390, 844), reduced_motion="no-preference").page
    assert page.is_visible(".knock")
    lasting = page.evaluate(
        "document.querySelector('.fist').getAnimations().map((one) => one.effect.getComputedTiming().endTime)"
    )
    assert [50_000 < ms < 90_000 for ms in lasting] == [True], "about a minute, then a page left open costs nothing"
    assert page.locator(".promise p").is_hidden()
    assert page.inner_text(".promise summary").startswith("Your pictures ")
    button = page.locator("#start").bounding_box()
    assert min(button["width"], button["height"]) >= 52
    page.click(".promise summary")
    assert page.is_visible(".promise p")


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
    page.evaluate(TO_ITS_END)
    assert page.evaluate("[window.spoken.length, window.hits]") == [0, 0]
    page.check("#sound")
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'plain'")
    assert page.evaluate("window.spoken") == [], "no voice that sends the text elsewhere"
    page.evaluate("window.voices = [...window.voices, { localService: true, lang: 'en-GB' }]")
    page.click("#another")
    there.until("document.getElementById('joke').dataset.id === 'riddle'")
    page.evaluate(TO_ITS_END)
    there.until("window.hits >= 3")
    assert page.evaluate("window.spoken") == ["Why did the clock blush?", "Somebody saw its hands."]
    page.evaluate("window.hits = 0; document.dispatchEvent(new Event('shutter'))")
    there.until("window.hits === 2")
