"""When the next joke comes by itself, and what Dad makes of a smile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.shows import LONG, PLAIN, RIDDLE, Show
from tests.waiting import eventually

pytestmark = pytest.mark.slow(30)
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


# What is seen when points come, which a busy computer may be too late to look at.
NOTE_THE_POINTS = """() => {
  const points = document.getElementById("points");
  new MutationObserver(() => {
    if (window.flown || points.hidden) return;
    const laughs = document.getElementById("dad").classList.contains("laughs");
    window.flown = { text: points.textContent, laughs, moving: document.getAnimations().length };
  }).observe(points, { attributes: true });
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_when_a_smile_crosses_the_line_dad_laughs_and_its_points_fly_up(show, motion):
    there = show(reduced_motion=motion)
    page = there.page
    page.uncheck("#hands-free")
    page.evaluate("document.body.classList.remove('knocking')")
    for _ in range(5):
        there.read(0.2)
    assert page.is_hidden("#points")

    page.evaluate(NOTE_THE_POINTS)

    def laughed() -> bool:
        there.read(0.92)
        return page.evaluate("window.flown !== undefined")

    eventually(laughed)
    flown = page.evaluate("window.flown")
    assert (flown["text"], flown["laughs"]) == ("+72", True)
    assert (flown["moving"] > 0) == (motion == "no-preference")
    there.until("document.getElementById('points').hidden && !document.getElementById('dad').classList.contains('laughs')")
    there.read(0.95)
    assert not page.evaluate("document.getElementById('dad').classList.contains('laughs')"), "once for each smile"
