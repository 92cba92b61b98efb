"""Keep a straight face in a real Chromium, on made-up readings: every state, for everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.accessibility import assert_no_violations
from tests.browsers import new_context
from tests.running import RunningApp
from tests.shows import RIDDLE
from tests.visits import ANALYZE
from tests.waiting import eventually

pytestmark = pytest.mark.slow(35)
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

    def still_when(self, condition: str, after: str = "") -> None:
        """`after`: the id of what is clicked first."""
        click = f"document.getElementById('{after}').click() || " if after else ""
        self.page.evaluate(click + STILL % condition)

    def go_on(self) -> None:
        self.page.evaluate("delete performance.now")


@pytest.fixture
def table(browser, app) -> Iterator[Table]:
    there = Table(browser, app)
    yield there
    there.context.close()


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
        table.still_when(f"{PHASE} === {json.dumps(state)}", after="go" if state == "calming" else "")
        for width, height in ((320, 640), (390, 844), (844, 390), (1280, 720), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") == width, state
            top = "document.querySelector('#frame').getBoundingClientRect().top"
            was = tops.setdefault(width, page.evaluate(top))  # letters are fitted a moment after the window's size changes
            table.until(f"Math.abs({top} - {was}) <= 1")
            if width > 1000:
                assert page.evaluate("document.querySelector('#players').getBoundingClientRect().bottom") <= height
        table.go_on()
