"""When the smile shutter fires, on made-up readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tests.shutter import shutter_visits
from tests.visits import WebcamVisit

pytestmark = pytest.mark.slow
Reading = tuple[float, dict[int, float] | None]  # milliseconds, and P(smile) of each face; None: nothing could be read
PLAY = """async ([readings, keepGoing]) => {
  const { ShutterTiming } = await import("/static/shutter/shutter_timing.js");
  const timing = new ShutterTiming();
  timing.keepGoing = keepGoing;
  timing.arm();
  return readings.map(([now, faces]) => {
    timing.tick(now);
    const fired = timing.read(faces && Object.entries(faces).map(([id, smile]) => ({ id, smile })), now);
    return { now, fired, state: timing.state, progress: timing.progress, smiling: timing.smiling, inView: timing.inView };
  });
}"""


@pytest.fixture(scope="module")
def play(app, browser) -> Iterator:
    """Feeds readings to an armed shutter; what it made of each."""
    visit = WebcamVisit(browser, app.url, start=False)

    def run(readings: Sequence[Reading], *, keep_going: bool = False) -> list[dict]:
        return visit.page.evaluate(PLAY, [readings, keep_going])

    yield run
    visit.context.close()


@pytest.fixture
def visit(browser) -> Iterator:
    yield from shutter_visits(browser)


def every(ms: float, begin: float, end: float, faces: dict[int, float] | None) -> list[Reading]:
    return [(float(now), faces) for now in np.arange(begin, end, ms)]


def fired_at(played: list[dict]) -> list[float]:
    return [one["now"] for one in played if one["fired"]]


def test_it_fires_once_after_half_a_second_of_smile_and_is_off(play):
    played = play([*every(50, 0, 1000, {1: 0.03}), *every(50, 1000, 4000, {1: 0.95})])
    assert fired_at(played) == [1500]
    assert played[-1]["state"] == "off"
    ring = [one["progress"] for one in played if 1000 <= one["now"] < 1500]
    assert ring == pytest.approx([i / 10 for i in range(10)])


def test_nothing_fires_without_a_smile_or_without_anybody(play):
    assert fired_at(play(every(50, 0, 5000, {1: 0.45}))) == []
    assert fired_at(play(every(50, 0, 5000, {}))) == []
    assert fired_at(play(every(50, 0, 5000, None))) == []


def test_a_smile_that_is_too_short_does_not_count_for_the_next(play):
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 900, {1: 0.1}), *every(50, 900, 1350, {1: 0.9})])
    assert fired_at(played) == []
    assert played[-1]["state"] == "holding"
    assert next(one for one in played if one["now"] == 850)["progress"] == 0


def test_noise_about_one_half_neither_resets_nor_fires_twice(play):
    noise = np.random.default_rng(1).uniform(0.42, 0.58, 200)
    readings: list[Reading] = [(50.0 * i, {1: float(smile)}) for i, smile in enumerate(noise)]
    played = play(readings, keep_going=True)
    begun = next(one["now"] for one in played if one["state"] == "holding")
    assert fired_at(played) == [begun + 500]


def test_a_dip_of_two_readings_halts_the_ring_and_a_longer_one_resets_it(play):
    smile, dip = {1: 0.9}, {1: 0.2}
    short = play([*every(50, 0, 350, smile), *every(50, 350, 450, dip), *every(50, 450, 1000, smile)])
    assert fired_at(short) == [650]
    long = play([*every(50, 0, 350, smile), *every(50, 350, 650, dip), *every(50, 650, 2000, smile)])
    assert fired_at(long) == [1150]


def test_a_group_is_photographed_when_all_smile(play):
    played = play(
        [
            *every(50, 0, 1000, {1: 0.9, 2: 0.9, 3: 0.1}),
            *every(50, 1000, 2000, {1: 0.2, 2: 0.9, 3: 0.9}),
            *every(50, 2000, 3000, {1: 0.9, 2: 0.9, 3: 0.9}),
        ]
    )
    assert fired_at(played) == [2500]
    assert (played[0]["smiling"], played[0]["inView"]) == (2, 3)
    assert (played[30]["smiling"], played[30]["inView"]) == (2, 3)


def test_who_comes_into_view_without_a_smile_stops_the_countdown(play):
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 2000, {1: 0.9, 2: 0.1}), *every(50, 2000, 3000, {1: 0.9})])
    (fired,) = fired_at(played)
    assert fired > 2500, "the other one left, and half a second of smile began after that"


def test_a_face_lost_for_a_moment_does_not_reset_the_ring(play):
    both = {1: 0.9, 2: 0.9}
    played = play([*every(50, 0, 300, both), *every(50, 300, 400, {1: 0.9}), *every(50, 400, 1000, both)])
    assert fired_at(played) == [650], "two readings long the ring waits, and goes on"
    alone = play([*every(50, 0, 300, {1: 0.9}), *every(50, 300, 400, {}), *every(50, 400, 1000, {1: 0.9})])
    assert fired_at(alone) == [650]


def test_a_sad_face_lost_for_a_moment_does_not_make_everyone_smile(play):
    flickers = [
        reading
        for begin in range(0, 6000, 600)
        for reading in [
            *every(50, begin, begin + 250, {1: 0.9, 2: 0.1}),
            *every(50, begin + 250, begin + 600, {1: 0.9}),
        ]
    ]
    assert fired_at(play(flickers)) == []


def test_when_nobody_is_in_view_any_more_the_ring_is_empty(play):
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 1500, {}), *every(50, 1500, 2500, {2: 0.9})])
    assert next(one for one in played if one["now"] == 1000)["progress"] == 0
    assert fired_at(played) == [2000]


def test_one_long_smile_is_one_picture_and_the_next_smile_another(play):
    smile, rest = {1: 0.95}, {1: 0.05}
    readings = [
        *every(50, 0, 20_000, smile),
        *every(50, 20_000, 21_000, rest),
        *every(50, 21_000, 30_000, smile),
        *every(50, 30_000, 31_000, rest),
    ]
    assert fired_at(play(readings, keep_going=True)) == [500, 21_500]
    assert fired_at(play(readings)) == [500]


def test_in_a_group_one_smile_that_ends_makes_it_ready_again(play):
    readings = [
        *every(50, 0, 5000, {1: 0.9, 2: 0.9}),
        *every(50, 5000, 6000, {1: 0.9, 2: 0.1}),
        *every(50, 6000, 7000, {1: 0.9, 2: 0.9}),
    ]
    assert fired_at(play(readings, keep_going=True)) == [500, 6500]


def test_a_dip_in_the_photographed_smile_is_not_its_end(play):
    readings = [*every(50, 0, 4000, {1: 0.9}), *every(50, 4000, 4200, {1: 0.2}), *every(50, 4200, 9000, {1: 0.9})]
    assert fired_at(play(readings, keep_going=True)) == [500]


@pytest.mark.parametrize("between", [None, {}])
def test_a_smile_that_could_not_be_read_for_a_moment_is_still_the_same(play, between):
    gap = every(50, 4000, 4350, between)
    readings = [*every(50, 0, 4000, {1: 0.9}), *gap, *every(50, 4350, 9000, {1: 0.9})]
    assert fired_at(play(readings, keep_going=True)) == [500]


def test_two_pictures_are_at_least_two_seconds_apart(play):
    quick = [
        reading
        for begin in range(0, 6000, 1000)
        for reading in [*every(50, begin, begin + 600, {1: 0.9}), *every(50, begin + 600, begin + 1000, {1: 0.1})]
    ]
    times = fired_at(play(quick, keep_going=True))
    assert len(times) > 1
    assert min(np.diff(times)) >= 2000


def test_time_without_readings_is_no_smiling_time(play):
    assert fired_at(play([(0, {1: 0.9}), (900, {1: 0.9})])) == [], "at most 400 ms of a gap count"
    played = play([(0, {1: 0.9}), (300, {1: 0.9}), (5000, {1: 0.9}), (5300, {1: 0.9})])
    assert fired_at(played) == [], "what was held before a long gap is out of date"
    assert played[2]["progress"] == 0
    played = play([*every(50, 0, 450, {1: 0.9}), *every(50, 450, 700, None), *every(50, 700, 1100, {1: 0.9})])
    assert fired_at(played) == [], "nor does what was held before a picture that could not be read"


def test_a_slow_computer_fires_too(play):
    assert fired_at(play(every(450, 0, 3000, {1: 0.9}))) == [900]


def test_the_ring_empties_by_itself_when_readings_stop(app, visit):
    page = visit(app.url, start=False).page
    states = page.evaluate(
        """async () => {
          const { ShutterTiming } = await import("/static/shutter/shutter_timing.js");
          const timing = new ShutterTiming(), seen = [];
          const look = (now) => { timing.tick(now); seen.push([timing.state, timing.progress, timing.isBlind(now)]); };
          look(0);
          timing.arm();
          look(0);
          for (const now of [0, 200, 400]) timing.read([{ id: 1, smile: 0.9 }], now);
          look(1000);
          look(1500);
          timing.disarm();
          look(1600);
          seen.push(timing.read([{ id: 1, smile: 0.9 }], 5000));
          return seen;
        }"""
    )
    assert states == [
        ["off", 0, True],
        ["waiting", 0, True],
        ["holding", 0.8, False],
        ["waiting", 0, True],
        ["off", 0, True],
        False,
    ]
