"""Keep a straight face with several: who wins, and what becomes of those who leave, come, swap places or are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.played_games import SMILING, STRAIGHT, Readings, blind, every, open_game, placed, player, times

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(browser) -> Iterator:
    yield from open_game(browser)


@pytest.fixture(scope="module")
def play(page) -> Callable[..., dict[str, Any]]:
    return player(page)


# --- several ---


def test_the_last_straight_face_wins(play):
    straight = every(50, 0, 60_000, a=STRAIGHT, b=STRAIGHT, c=STRAIGHT)
    first = times(play(straight), "punchline")[0]
    falls = [
        every(50, 0, first, a=STRAIGHT, b=STRAIGHT, c=STRAIGHT),
        every(50, first, first + 500, a=STRAIGHT, b=SMILING, c=STRAIGHT),
    ]

    def rest(end: float) -> list[Readings]:
        return every(50, first + 500, end, a=STRAIGHT, b=SMILING, c=STRAIGHT)

    played = play(*falls, rest(60_000))
    assert [players for _, kind, players in played["happened"] if kind == "out"] == [[2]], "who is out may laugh"
    assert (played["winners"], played["alone"]) == ([1, 3], False), "both have lasted for all jokes"
    assert played["ranked"][-1] == [2, 3, 0]
    second = times(played, "punchline")[1]
    duel = every(50, second, second + 9000, a=SMILING, b=STRAIGHT, c=STRAIGHT)
    ended = play(*falls, rest(second), duel)
    assert ended["winners"] == [3]
    assert ended["phase"] == "over", "one is left, so no joke more is told"
    assert ended["ranked"] == [[3, 1, 2], [1, 2, 1], [2, 3, 0]]
    assert ended["fellBy"] == "joke 2"


def test_places_are_numbered_from_left_to_right_and_two_who_smile_at_once_share_the_win(play):
    faces = {"x": (STRAIGHT, 500.0), "y": (STRAIGHT, 20.0)}
    straight = placed(50, 0, 10_000, faces)
    played = play(straight)
    assert played["faces"] == {"1": "y", "2": "x"}
    set_up = times(played, "set-up")[0]
    both = placed(50, set_up, set_up + 6000, {"x": (SMILING, 500.0), "y": (SMILING, 20.0)})
    drawn = play(placed(50, 0, set_up, faces), both)
    assert drawn["winners"] == [1, 2]
    assert drawn["why"] == {"1": "smiled", "2": "smiled"}
    assert drawn["phase"] == "over"


def test_among_those_who_last_the_straighter_face_comes_first(play):
    played = play(every(50, 0, 5000, a=0.05, b=0.05), every(50, 5000, 60_000, a=0.45, b=0.2))
    assert played["winners"] == [2, 1]
    assert [place for _, place, _ in played["ranked"]] == [1, 1]


def test_who_is_away_for_a_moment_loses_nothing_and_dad_waits(play):
    straight = every(50, 0, 60_000, a=STRAIGHT, b=STRAIGHT)
    set_up, punchline = (times(play(straight), kind)[0] for kind in ("set-up", "punchline"))
    away = play(
        every(50, 0, set_up + 500, a=STRAIGHT, b=STRAIGHT),
        every(50, set_up + 500, set_up + 1500, b=STRAIGHT),
        every(50, set_up + 1500, set_up + 6500, b=SMILING),
        every(50, set_up + 6500, 90_000, a=STRAIGHT, b=STRAIGHT),
    )
    assert times(away, "punchline")[0] == pytest.approx(punchline + 6000, abs=800)
    assert away["winners"] == [1, 2]
    short = play(
        every(50, 0, set_up, a=STRAIGHT, b=STRAIGHT),
        every(50, set_up, set_up + 600, a=STRAIGHT),
        every(50, set_up + 600, 60_000, a=STRAIGHT, b=STRAIGHT),
    )
    assert times(short, "punchline")[0] == pytest.approx(punchline, abs=100)


def test_who_leaves_for_more_than_ten_seconds_in_all_is_out(play):
    straight = every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT, c=STRAIGHT)
    gone = play(straight, every(50, 8000, 70_000, a=STRAIGHT, c=STRAIGHT))
    assert times(gone, "left") == [pytest.approx(18_700, abs=200)]
    assert gone["why"] == {"1": None, "2": "left", "3": None}
    assert gone["winners"] == [1, 3]
    duel = play(every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT), every(50, 8000, 30_000, b=STRAIGHT))
    assert (duel["winners"], duel["phase"], duel["fellBy"]) == ([2], "over", None)
    hiding = [
        every(50, 8000 + 5000 * i, 12_000 + 5000 * i, b=STRAIGHT)
        + every(50, 12_000 + 5000 * i, 13_000 + 5000 * i, a=STRAIGHT, b=STRAIGHT)
        for i in range(6)
    ]
    assert times(play(every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT), *hiding), "left") != [], "absences add up"


def test_if_everyone_leaves_the_game_is_paused_and_goes_on(play):
    straight, empty = every(50, 0, 8000, a=STRAIGHT), every(50, 8000, 30_000)
    left = play(straight, empty)
    assert left["phase"] == "paused"
    assert times(left, "paused") == [pytest.approx(18_700, abs=200)]
    back = play(straight, empty, every(50, 30_000, 90_000, a=STRAIGHT), acts=([32_000, "resume"],))
    assert (back["phase"], back["survived"]) == ("over", 3)


def test_a_face_that_comes_back_with_another_number_has_its_place_again(play):
    straight = every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT)
    back = placed(50, 10_000, 20_000, {"b": (STRAIGHT, 100.0), "new": (SMILING, 10.0)})
    played = play(straight, every(50, 8000, 10_000, b=STRAIGHT), back)
    assert played["faces"]["1"] == "new"
    assert played["why"] == {"1": "smiled", "2": None}
    assert played["winners"] == [2]


def test_who_joins_later_only_watches_and_takes_nobodys_place(play):
    watched = every(50, 8000, 60_000, a=STRAIGHT, b=STRAIGHT, c=SMILING)
    played = play(every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT), watched)
    assert (played["winners"], len(played["ranked"])) == ([1, 2], 2)
    early = every(50, 8000, 10_000, a=STRAIGHT, b=STRAIGHT, c=SMILING)
    hidden = play(
        every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT),
        early,
        every(50, 10_000, 14_000, b=STRAIGHT, c=SMILING),
        every(50, 14_000, 60_000, a=STRAIGHT, b=STRAIGHT, c=SMILING),
    )
    assert hidden["why"] == {"1": None, "2": None}, "a guest who was there before does not become the player who hid"


def test_a_guest_on_a_players_place_goes_when_the_player_is_back(play):
    both, guest = {"a": (STRAIGHT, 0.0), "b": (STRAIGHT, 100.0)}, {"guest": (SMILING, 300.0)}
    alone_with = {"b": both["b"], **guest}
    played = play(
        placed(50, 0, 8000, both),
        placed(50, 8000, 9000, {"b": both["b"]}),
        placed(50, 9000, 10_000, {"b": both["b"], "guest": (STRAIGHT, 300.0)}),
        placed(50, 10_000, 12_000, both | guest),
        placed(50, 12_000, 14_000, alone_with),
        placed(50, 14_000, 60_000, both | guest),
    )
    assert played["faces"]["1"] == "a"
    assert played["winners"] == [1, 2], "nor does the guest stand in for the player again"


def test_who_swap_places_keep_their_numbers(play):
    def at(begin: float, end: float, smile: float, swapped: bool) -> list[Readings]:
        places = (100.0, 0.0) if swapped else (0.0, 100.0)
        return placed(50, begin, end, {"a": (smile, places[0]), "b": (STRAIGHT, places[1])})

    played = play(at(0, 8000, STRAIGHT, False), at(8000, 9000, STRAIGHT, True), at(9000, 20_000, SMILING, True))
    assert played["winners"] == [2]
    assert played["why"] == {"1": "smiled", "2": None}


def test_a_camera_that_begins_anew_numbers_faces_anew_and_each_keeps_its_place(play):
    straight = every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT)
    anew = placed(50, 12_000, 30_000, {"b": (SMILING, 8.0), "a": (STRAIGHT, 95.0)})
    played = play(straight, blind(8000, 12_000), anew)
    assert played["why"] == {"1": "smiled", "2": None}, "by where they sit, whatever they are called now"


def test_nobody_is_charged_for_a_camera_that_fails(play):
    played = play(
        every(50, 0, 8000, a=STRAIGHT, b=STRAIGHT), blind(8000, 40_000), every(50, 40_000, 100_000, a=STRAIGHT, b=STRAIGHT)
    )
    assert played["winners"] == [1, 2]
    assert times(played, "left") == times(played, "paused") == []


# --- who is left out ---

LEFT_OUT = """async (readings) => {
  const { Aside } = await import("/static/game/aside.js");
  const aside = new Aside();
  aside.read("camera", 0);
  aside.set(2, false);
  return readings.map(([camera, now]) => {
    aside.read(camera, now);
    return aside.has(2);
  });
}"""


@pytest.mark.parametrize(
    ("readings", "left_out"),
    [
        ([["camera", 1900], ["camera", 3800]], [True, True]),
        ([["camera", 2100], ["camera", 2200]], [False, False]),
        ([["another", 100], ["camera", 200]], [False, False]),
    ],
)
def test_nobody_stays_left_out_by_a_number_that_is_given_anew(page, readings, left_out):
    assert page.evaluate(LEFT_OUT, readings) == left_out
