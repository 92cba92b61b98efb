"""How jokes are ranked by smiles, and which is told next."""

import logging
import random
import threading

import pytest

from jokes.board import JokeBoard
from jokes.box import JokeBox
from jokes.joke import Joke, Tally
from jokes.ranking import LEVEL, PRIOR_REACTIONS, UNTRIED_SHARE, Ranking
from jokes.sources import house_jokes
from tests.joke_boards import joke, tally
from tests.waiting import eventually

# How jokes are ranked


def test_fifty_good_smiles_beat_one_big_one():
    ranking = Ranking([tally(joke("once"), 1.0), tally(joke("often"), *[0.2, 0.4] * 25)])
    assert [standing.joke.id for standing in ranking.standings] == ["often", "once"]
    once = ranking.standings[1]
    assert (once.mean, once.reactions) == (1.0, 1)
    assert once.estimate < 0.5, "one smile is drawn to what jokes are like"


def test_with_as_many_smiles_the_funnier_joke_is_first_and_more_smiles_make_surer():
    lifts = {"flat": 0.0, "good": 0.4, "best": 0.7}
    ranking = Ranking([tally(joke(name), *[lift] * 10) for name, lift in lifts.items()] + [tally(joke("sure"), *[0.4] * 90)])
    places = [standing.joke.id for standing in ranking.standings]
    assert places.index("best") < places.index("good") < places.index("flat")
    width = {standing.joke.id: standing.high - standing.low for standing in ranking.standings}
    assert width["sure"] < width["good"] == pytest.approx(width["flat"])


def test_nothing_known_gives_an_empty_ranking_and_ends_stay_in_range():
    assert Ranking().standings == ()
    (only,) = Ranking([tally(joke(1), *[-1.0, 1.0] * 3)]).standings
    assert -1 <= only.low < only.estimate < only.high <= 1
    assert Ranking([Tally(joke(1), 0, 0, 0.0, 0.0, 0.0)]).standings == ()


def test_intervals_hold_the_truth_as_often_as_they_say():
    chance = random.Random(7)
    held = 0
    rounds, jokes_each = 60, 25
    for _ in range(rounds):
        truths = {str(i): chance.gauss(0.25, 0.4 / PRIOR_REACTIONS**0.5) for i in range(jokes_each)}
        tallies = [
            tally(joke(i), *(chance.gauss(truth, 0.4) for _ in range(chance.randint(1, 30)))) for i, truth in truths.items()
        ]
        held += sum(one.low <= truths[one.joke.id] <= one.high for one in Ranking(tallies).standings)
    assert abs(held / (rounds * jokes_each) - LEVEL) < 0.02


# Which joke is told next


class Memory:
    """A board in memory."""

    def __init__(self) -> None:
        self.lifts: dict[Joke, list[float]] = {}

    def tallies(self) -> list[Tally]:
        return [tally(told, *lifts) for told, lifts in self.lifts.items()]


@pytest.mark.parametrize("seed", range(5))
def test_funny_jokes_are_told_more_often_and_every_joke_is_tried(seed):
    chance = random.Random(seed)
    own = [joke(i) for i in range(20)]
    truth = {one: i / 25 for i, one in enumerate(own)}  # 0 to 0.76
    memory, box = Memory(), JokeBox("", own=own, remembered=4, seed=seed)
    told = []
    for _ in range(400):
        one = box.get_joke()
        assert one not in told[-4:], "not told again while it is remembered"
        told.append(one)
        big = chance.random() < truth[one]
        memory.lifts.setdefault(one, []).append(0.9 if big else 0.0)
        box.rank(Ranking(memory.tallies()))
    assert set(told) == set(own), "every joke was tried"
    assert sum(one in own[15:] for one in told) / 400 > 0.4, "the best quarter, against 0.25 by chance"
    assert sum(one in own[:5] for one in told) / 400 < 0.2, "and the worst less"


def test_a_new_joke_keeps_its_share_among_proven_ones():
    ranking = Ranking([tally(joke(i), *[0.9] * 200) for i in range(40)])
    chance = random.Random(3)
    tried, untried = [joke(i) for i in range(40)], joke("new")
    share = sum(ranking.choose(tried, untried, chance) == untried for _ in range(2000)) / 2000
    assert abs(share - UNTRIED_SHARE) < 0.04
    assert ranking.choose([], untried, chance) == untried
    assert ranking.choose(tried, None, chance) in tried
    assert ranking.choose([], None, chance) is None


def test_a_box_tells_what_the_board_knows_without_waiting_for_it():
    class Slow:
        reads = 0
        go = threading.Event()

        def exists(self) -> bool:
            return True

        def tallies(self) -> list[Tally]:
            self.reads += 1
            self.go.wait(120)
            return [tally(Joke("old", "An old one.", "icanhazdadjoke"), *[0.95] * 100)]

    slow = Slow()
    box = JokeBox("", board=slow, remembered=3, seed=1)
    try:
        assert {box.get_joke().source for _ in range(20)} == {"house"}, "the board is still being read"
        slow.go.set()
        eventually(lambda: box.get_joke().text == "An old one.")
        assert slow.reads == 1, "it is not read for every joke"
    finally:
        slow.go.set()
        box.close()


def test_a_board_that_fails_is_logged_and_jokes_go_on(tmp_path, caplog):
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database, but long enough to be looked at " * 200)
    box = JokeBox("", board=JokeBoard(str(damaged)), board_every_s=0.05)
    try:
        told = []
        with caplog.at_level(logging.WARNING):
            eventually(lambda: told.append(box.get_joke().source) or caplog.records)
        assert set(told) == {"house"}
        assert caplog.records[0].fields["status"] == "failed"
        assert len({box.get_joke().id for _ in range(15)}) == 15
    finally:
        box.close()


def test_a_house_joke_is_told_with_its_punchline_apart_whatever_text_an_older_board_has():
    own = house_jokes()[0]
    box = JokeBox("", own=[own], seed=2)
    box.rank(Ranking([tally(Joke(own.id, own.text.replace("\n", " "), "house"), *[1.0] * 50)]))
    assert box.get_joke() == own


def test_a_house_joke_that_was_taken_out_is_not_told_again():
    box = JokeBox("", seed=2)
    box.rank(Ranking([tally(Joke("house-gone", "Taken out.", "house"), *[1.0] * 50)]))
    own = set(house_jokes())
    assert all(box.get_joke() in own for _ in range(60))
