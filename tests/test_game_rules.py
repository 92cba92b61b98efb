"""Keep a straight face: who is out, when, and what becomes of those who leave, come and swap places, on made-up readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import new_context
from tests.shows import RIDDLE

pytestmark = pytest.mark.slow

# Readings from `begin` until `end`, one every `ms`: [ms, begin, end, (smile, x) of each face; None: nothing could be read].
Readings = tuple[float, float, float, dict[str, tuple[float, float]] | None]

# Plays a game; jokes come when they are wanted. `acts`: [[time, method], ...].
PLAY = """async ([readings, jokes, pace, acts, texts]) => {
  const { Game } = await import("/static/game/game.js");
  const { headline, wish } = await import("/static/game/words.js");
  const game = new Game({ pace }), happened = [], left = [...acts];
  let told = 0;
  game.start(jokes, 0);
  const all = readings.flatMap(([ms, begin, end, faces]) =>
    Array.from({ length: Math.round((end - begin) / ms) }, (_, i) => [begin + ms * i, faces]));
  for (const [now, faces] of all) {
    while (left.length && left[0][0] <= now) game[left.shift()[1]](now);
    if (game.wantsJoke && told < texts.length) {
      const [setUp, punchline] = texts[told++];
      game.tell({ id: `joke ${told}`, text: `${setUp} ${punchline}`, setUp, punchline });
    }
    const seen = faces && Object.entries(faces).map(([id, [smile, x]]) =>
      ({ id, smile, label: smile >= 0.5 ? "smile" : "no_smile", x, y: 100, w: 60 }));
    game.read(seen, now);
    for (const { kind, players } of game.take()) happened.push([now, kind, players.map(({ slot }) => slot)]);
  }
  const { winners, players, survived, fellBy } = game.result, wished = wish(game, all.at(-1)[0]);
  return {
    happened, wished, said: game.phase === "over" ? headline(game) : "",
    phase: game.phase, number: game.number, alone: game.alone, survived, fellBy: fellBy?.id ?? null,
    winners: winners.map(({ slot }) => slot),
    ranked: players.map(({ player, place, survived }) => [player.slot, place, survived]),
    why: Object.fromEntries(game.players.all.map(({ slot, out }) => [slot, out?.why ?? null])),
    faces: Object.fromEntries(game.players.all.map(({ slot, face }) => [slot, face.id])),
    neutral: Object.fromEntries(game.players.all.map(({ slot, neutral }) => [slot, neutral])),
  };
}"""
TEXTS = [["Why did the clock blush?", "Somebody saw its hands."]] * 10
STRAIGHT, SMILING = 0.05, 0.9


@pytest.fixture(scope="module")
def page(app, browser) -> Iterator:
    context = new_context(browser)
    page = context.new_page()
    page.goto(app.url + "/static/icon.svg")
    yield page
    context.close()


@pytest.fixture(scope="module")
def play(page) -> Callable[..., dict[str, Any]]:
    def run(
        *readings: list[Readings], jokes: int = 3, pace: float = 1, acts: tuple = (), texts: list = TEXTS
    ) -> dict[str, Any]:
        return page.evaluate(PLAY, [[one for some in readings for one in some], jokes, pace, list(acts), texts])

    return run


def every(ms: float, begin: float, end: float, **smiles: float) -> list[Readings]:
    """Faces a, b, c... beside each other, from left to right."""
    faces = {name: (smile, 100.0 * (ord(name) - ord("a"))) for name, smile in smiles.items()}
    return placed(ms, begin, end, faces)


def placed(ms: float, begin: float, end: float, faces: dict[str, tuple[float, float]] | None) -> list[Readings]:
    return [(ms, begin, end, faces)]


def blind(begin: float, end: float) -> list[Readings]:
    return placed(100, begin, end, None)


def times(played: dict[str, Any], kind: str) -> list[float]:
    return [now for now, what, _ in played["happened"] if what == kind]


def kinds(played: dict[str, Any]) -> list[str]:
    return [what for _, what, _ in played["happened"]]


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
