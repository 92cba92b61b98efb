"""Keep a straight face, the rules for one: when a joke is told, who is out by it, pauses, missing jokes, and words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.played_games import SMILING, STRAIGHT, TEXTS, Readings, blind, every, kinds, open_game, player, times
from tests.shows import RIDDLE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(browser) -> Iterator:
    yield from open_game(browser)


@pytest.fixture(scope="module")
def play(page) -> Callable[..., dict[str, Any]]:
    return player(page)


# --- alone ---


def test_alone_every_joke_is_told_with_its_punchline_after_a_beat(play):
    played = play(every(50, 0, 60_000, a=STRAIGHT))
    assert played["phase"] == "over"
    assert kinds(played) == ["began", *["breath", "set-up", "punchline"] * 3, "over"]
    assert (played["alone"], played["survived"], played["fellBy"], played["winners"]) == (True, 3, None, [])
    (began, *_), (set_up, *_), (punchline, *_) = (times(played, kind) for kind in ("began", "set-up", "punchline"))
    assert 1000 < began < 2000, "the resting face is read first"
    assert 3000 < punchline - set_up < 5000, "five words and a beat"
    quick = play(every(50, 0, 60_000, a=STRAIGHT), pace=4)
    assert times(quick, "began") == times(played, "began"), "faces have as long as ever"
    told = (times(quick, "punchline")[0] - times(quick, "set-up")[0]) / (punchline - set_up)
    assert told == pytest.approx(0.25, abs=0.03)


def test_who_smiles_for_0_4_seconds_is_out_by_that_joke(play):
    straight = every(50, 0, 60_000, a=STRAIGHT)
    second = times(play(straight), "punchline")[1]
    for ms in (50, 100, 200):
        smiling = every(ms, second, second + 2000, a=SMILING)
        played = play(every(50, 0, second, a=STRAIGHT), smiling, every(50, second + 2000, second + 9000, a=STRAIGHT))
        assert times(played, "out") == [second + 400]
        assert (played["survived"], played["fellBy"], played["phase"]) == (1, "joke 2", "over")
        assert kinds(played).count("set-up") == 2


def test_a_twitch_is_none_and_a_dip_does_not_begin_anew(play):
    set_up = times(play(every(50, 0, 9000, a=STRAIGHT)), "set-up")[0]
    before, then = every(50, 0, set_up, a=STRAIGHT), set_up + 350
    twitch = play(
        before,
        every(50, set_up, then, a=SMILING),
        every(50, then, then + 1000, a=STRAIGHT),
        every(50, then + 1000, then + 1350, a=SMILING),
    )
    assert times(twitch, "out") == []
    dip = play(
        before,
        every(50, set_up, then, a=SMILING),
        every(50, then, then + 100, a=STRAIGHT),
        every(50, then + 100, then + 500, a=SMILING),
    )
    assert times(dip, "out") == [then + 200]
    slow = play(before, every(600, set_up, set_up + 1000, a=SMILING))
    assert times(slow, "out") == [], "two readings far apart tell too little"


def test_nobody_is_judged_before_the_joke_begins_or_after_it(play):
    played = play(every(50, 0, 60_000, a=STRAIGHT))
    breath, set_up = times(played, "breath")[1], times(played, "set-up")[1]
    laughs = every(50, breath, set_up - 50, a=SMILING)
    again = play(every(50, 0, breath, a=STRAIGHT), laughs, every(50, set_up - 50, 60_000, a=STRAIGHT))
    assert again["survived"] == 3
    late = play(
        every(50, 0, breath - 200, a=STRAIGHT),
        every(50, breath - 200, breath + 500, a=SMILING),
        every(50, breath + 500, 60_000, a=STRAIGHT),
    )
    assert times(late, "out") == [breath + 200], "a smile that began in time is counted to its end"
    assert late["survived"] == 0


def test_a_face_that_rests_at_one_half_is_not_thrown_out_and_still_can_be(play):
    def trembling(begin: float, end: float) -> list[Readings]:
        steps = [(begin + 150 * i, 0.5 + 0.06 * (i % 3 - 1)) for i in range(round((end - begin) / 150))]
        return [(150, now, now + 150, {"a": (smile, 0.0)}) for now, smile in steps]

    played = play(trembling(0, 60_000))
    assert played["survived"] == 3
    assert played["neutral"]["1"] == pytest.approx(0.5, abs=0.01)
    set_up = times(played, "set-up")[0]
    assert times(play(trembling(0, set_up), every(50, set_up, set_up + 500, a=0.9)), "out") == [set_up + 400]
    assert times(play(trembling(0, set_up), every(50, set_up, set_up + 3000, a=0.7)), "out") == [], (
        "half of the way is needed"
    )


def test_the_game_waits_for_a_face_that_still_grins(play):
    played = play(every(50, 0, 3000, a=SMILING), every(50, 3000, 60_000, a=STRAIGHT))
    assert times(played, "began")[0] == pytest.approx(4550, abs=100)
    assert played["neutral"]["1"] == STRAIGHT


@pytest.mark.parametrize("ms", [50, 400])
def test_a_slow_camera_only_makes_it_slower(play, ms):
    assert play(every(ms, 0, 80_000, a=STRAIGHT))["survived"] == 3


# --- pause ---


def test_after_a_pause_the_same_joke_is_told_again_and_nobody_is_judged_meanwhile(play):
    readings = [every(50, 0, 5000, a=STRAIGHT), every(50, 5000, 9000, a=SMILING), every(50, 9000, 90_000, a=STRAIGHT)]
    played = play(*readings, acts=([5000, "pause"], [9000, "resume"]))
    assert played["survived"] == 3
    assert times(played, "out") == []
    assert len(times(played, "set-up")) == 4, "the first joke twice"
    assert times(played, "set-up")[0] < 5000 < 9000 < times(played, "set-up")[1]
    assert len(times(play(*readings, acts=([5000, "pause"],)), "set-up")) == 1


def test_a_pause_while_faces_are_read_reads_them_anew(play):
    played = play(every(50, 0, 30_000, a=STRAIGHT), acts=([500, "pause"], [10_000, "resume"]))
    assert times(played, "began")[0] == pytest.approx(11_250, abs=100)


def test_without_a_joke_the_game_waits_for_one(play):
    played = play(every(50, 0, 60_000, a=STRAIGHT), texts=TEXTS[:1])
    assert (played["phase"], played["number"]) == ("breath", 2)


def test_a_joke_without_a_punchline_is_told_in_one_piece(play):
    played = play(every(50, 0, 60_000, a=STRAIGHT), texts=[["A joke about paper is tearable.", ""]] * 3)
    assert kinds(played) == ["began", *["breath", "set-up"] * 3, "over"]


def test_a_pause_while_a_smile_is_seen_goes_on_to_what_comes_next(play):
    two, three = (dict.fromkeys(names, STRAIGHT) for names in ("ab", "abc"))
    set_up = times(play(every(50, 0, 9000, **three)), "set-up")[0]
    falls, acts = set_up + 450, ([set_up + 1000, "pause"], [20_000, "resume"])

    def paused(players: dict[str, float], end: float) -> dict[str, Any]:
        smiling = every(50, set_up, falls, **players | {"a": SMILING})
        return play(every(50, 0, set_up, **players), smiling, every(50, falls, end, **players), acts=acts)

    assert (paused(three, 15_000)["phase"], paused(three, 15_000)["number"]) == ("paused", 2)
    after = [(now, kind) for now, kind, _ in paused(three, 25_000)["happened"] if now >= 20_000]
    assert [kind for _, kind in after][:2] == ["breath", "set-up"], "the frozen moment does not come back"
    ended = paused(two, 15_000)
    assert (ended["phase"], ended["winners"]) == ("over", [2]), "nothing is left that could be paused"


# --- jokes ---

ASK = """async (times) => {
  const { Jokes } = await import("/static/game/jokes.js");
  const now = performance.now, said = [], told = [];
  const jokes = new Jokes({ onJoke: ({ id }) => told.push(id), onTrouble: (words) => said.push(words) });
  try {
    for (const time of times) {
      if (time === null) localStorage.clear();
      else performance.now = () => time;
      await jokes.ask();
    }
  } finally {
    performance.now = now;
  }
  return { said, told };
}"""


@pytest.fixture
def asked(page) -> Iterator:
    """Asks for a joke at so many times, of an app that answers `status`. Gives what was said and told, and the requests."""
    hits: list[str] = []

    def answer(route: Any, status: int) -> None:
        hits.append(route.request.url)
        route.fulfill(status=status, json=RIDDLE)

    def ask(times: list[float | None], status: int = 200) -> tuple[list[str], list[str], int]:
        hits.clear()
        page.unroute("**/api/v1/jokes/random")
        page.route("**/api/v1/jokes/random", lambda route: answer(route, status))
        heard = page.evaluate(ASK, times)
        return heard["said"], heard["told"], len(hits)

    yield ask
    page.unroute("**/api/v1/jokes/random")
    page.evaluate("localStorage.clear()")


def test_if_every_joke_is_hidden_here_the_game_says_so_and_asks_again_when_one_is_not(page, asked):
    page.evaluate("(joke) => localStorage.setItem('dad-jokes not funny', JSON.stringify([joke]))", RIDDLE)
    said, told, hits = asked([0, 4000, 8000])
    assert [words[:39] for words in said] == ["Every joke that came is one you hid. Br"]
    assert (told, hits) == ([], 40)
    said, told, hits = asked([0, 4000, None])
    assert (said[1:], told, hits) == ([""], [RIDDLE["id"]], 41)


def test_too_many_requests_are_no_dead_app(asked):
    assert asked([0, 2000], 429) == ([""], [], 1)
    assert asked([0, 2000, 4000], 429)[2] == 2
    said, _, hits = asked([0, 2000, 4000], 500)
    assert [words.split(".")[0] for words in said] == ["Dad does not answer just now"] * 2
    assert hits == 2


# --- in words ---


def test_the_end_is_said_in_a_line(play):
    alone = play(every(50, 0, 60_000, a=STRAIGHT))
    set_up = times(alone, "set-up")[0]
    assert alone["said"] == "Not a smile in 3 jokes. Stone face!"
    assert play(every(50, 0, set_up, a=STRAIGHT), every(50, set_up, 20_000, a=SMILING))["said"] == "The first joke got you."

    def ended(before: dict[str, float], then: dict[str, float]) -> str:
        return play(every(50, 0, set_up, **before), every(50, set_up, 60_000, **then))["said"]

    two, three = dict.fromkeys("ab", STRAIGHT), dict.fromkeys("abc", STRAIGHT)
    assert ended(two, two | {"a": SMILING}) == "Player 2 wins the duel!"
    assert ended(two, dict.fromkeys("ab", SMILING)) == "Player 1 and player 2 smiled at once: a draw."
    assert ended(two, two) == "Both kept a straight face: a draw."
    assert ended(three, dict.fromkeys("ac", SMILING) | {"b": STRAIGHT}) == "Player 2 wins!"
    assert ended(three, three | {"b": SMILING}) == "Player 1 and player 3 win."


def test_who_has_left_is_said_of_one_and_of_several(page):
    left = "(slots) => import('/static/game/words.js').then(({ left }) => left(slots.map((slot) => ({ slot }))))"
    assert page.evaluate(left, [2]) == "Player 2 was away for too long and is out."
    assert page.evaluate(left, [2, 1]) == "Player 1 and player 2 were away for too long and are out."


def test_what_dad_waits_for_is_said(play):
    assert play(every(50, 0, 500))["wished"] == "Show your faces to the camera."
    assert play(every(50, 0, 2000, a=SMILING))["wished"] == "Stop smiling first."
    assert (
        play(every(50, 0, 2000, a=SMILING, b=STRAIGHT, c=SMILING))["wished"] == "Player 1 and player 3: stop smiling first."
    )
    straight = every(50, 0, 5000, a=STRAIGHT, b=STRAIGHT, c=STRAIGHT)
    assert play(straight, every(50, 5000, 6500, c=STRAIGHT))["wished"] == "Dad waits for player 1 and player 2."
    assert play(straight, blind(5000, 6500))["wished"] == "Dad waits for a picture."
