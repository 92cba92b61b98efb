"""Which joke made people smile: what is stored and survives, how jokes are ranked, and which is told next."""

import logging
import os
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from common.errors import AlreadyCounted, BoardError, SettingsError, TooManyCounted, UnknownJoke
from jokes import board as joke_board
from jokes.board import JokeBoard, _begin_wal, default_file, open_board
from jokes.box import JokeBox
from jokes.joke import Joke, Reaction, Tally
from jokes.ranking import LEVEL, PRIOR_REACTIONS, UNTRIED_SHARE, Ranking
from jokes.sources import house_jokes
from jokes.tellings import GOOD_FOR_S, Tellings
from tests.conftest import ROOT, clean_environment
from tests.waiting import eventually

JOKE = Joke("a", "Why? Because.", "house")


@pytest.fixture
def board(tmp_path) -> JokeBoard:
    return JokeBoard(str(tmp_path / "folder" / "board.sqlite3"))


def tally(joke: Joke, *lifts: float) -> Tally:
    laughs = sum(lift >= 0.5 for lift in lifts)
    return Tally(joke, len(lifts), laughs, sum(lifts), sum(lift * lift for lift in lifts), 2.0)


def joke(name: object) -> Joke:
    return Joke(str(name), f"Joke {name}.", "test")


def python(code: str, *arguments: str) -> subprocess.Popen:
    head = "import sys\nfrom jokes.joke import *\nfrom jokes.board import *\nboard = JokeBoard(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
    )


# What is stored


def test_a_reaction_is_stored_as_numbers_and_the_joke_once(board, tmp_path):
    board.add(JOKE, Reaction(before=0.1, peak=0.8, seconds=2.53))
    board.add(JOKE, Reaction(before=0.5, peak=0.3, seconds=0))
    (only,) = board.tallies()
    assert (only.joke, only.reactions, only.laughs) == (JOKE, 2, 1)
    assert (only.lifts, only.squares, only.seconds) == pytest.approx((0.5, 0.53, 1.25))
    with sqlite3.connect(tmp_path / "folder" / "board.sqlite3") as file:
        rows = file.execute("SELECT * FROM smile_reactions").fetchall()
        texts = file.execute("SELECT text FROM smile_jokes").fetchall()
        names = [row[1] for row in file.execute("PRAGMA table_info(smile_reactions)")]
    file.close()
    assert names == ["number", "joke", "smile_before", "smile_peak", "lift", "seconds", "day"], "nothing about who smiled"
    assert rows[0][2:6] == (0.1, 0.8, 0.7, 2.5)
    assert len(rows[0][6]) == len("2026-01-31"), "the day, not the hour"
    assert texts == [(JOKE.text,)]


def test_nothing_is_made_before_the_first_reaction(board, tmp_path):
    assert board.tallies() == []
    assert not board.exists()
    assert list(tmp_path.iterdir()) == []
    board.add(JOKE, Reaction(0, 1, 1))
    assert board.exists()


def test_the_same_id_from_two_services_is_two_jokes(board):
    board.add(JOKE, Reaction(0, 1, 1))
    board.add(Joke("a", "Another.", "icanhazdadjoke"), Reaction(0, 0.5, 1))
    assert {one.joke.source for one in board.tallies()} == {"house", "icanhazdadjoke"}


@pytest.mark.parametrize(
    "numbers",
    [(-0.1, 0, 0), (0, 1.1, 0), (0, 0, 61), (0, 0, -1), (float("nan"), 0, 0), (0, float("inf"), 0), (0, 10**400, 0)],
)
def test_a_reaction_out_of_range_is_none(numbers):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Reaction(*numbers)


@pytest.mark.parametrize(
    ("before", "peak", "laughed"),
    [
        (0.02, 0.97, True),
        (0.4, 0.5, True),
        (0.4, 0.499, False),
        (0.16, 0.32, False),
        (0.16, 0.08, False),
        (0.9, 0.95, False),
        (0.85, 0.95, True),
    ],
)
def test_a_laugh_is_a_smile_that_the_joke_has_lifted(board, before, peak, laughed):
    reaction = Reaction(before, peak, 1)
    assert reaction.laughed is laughed
    board.add(JOKE, reaction)
    (only,) = board.tallies()
    assert (only.laughs, only.lifts) == (int(laughed), reaction.lift), "the stored numbers say the same"
    (standing,) = Ranking([only]).standings
    assert (standing.laughs, standing.mean) == (int(laughed), reaction.lift)


def test_a_board_of_a_later_version_is_left_alone(board, tmp_path):
    board.add(JOKE, Reaction(0, 1, 1))
    with sqlite3.connect(tmp_path / "folder" / "board.sqlite3") as file:
        file.execute("UPDATE smile_board SET version = 99")
    file.close()
    for use in (board.tallies, lambda: board.add(JOKE, Reaction(0, 1, 1))):
        with pytest.raises(BoardError, match="update the app"):
            use()


def test_a_file_deleted_meanwhile_is_made_again(board, tmp_path):
    board.add(JOKE, Reaction(0, 1, 1))
    (tmp_path / "folder" / "board.sqlite3").unlink()
    assert board.tallies() == []
    board.add(JOKE, Reaction(0, 1, 1))
    assert len(board.tallies()) == 1


# What goes wrong


def test_a_process_killed_in_mid_write_leaves_whole_reactions(tmp_path):
    file = tmp_path / "board.sqlite3"
    code = (
        "for i in range(100000):\n"
        "    board.add(Joke(str(i), 'x' * 5000, 'test'), Reaction(0.25, 0.75, 1))\n"
        "    print(i, flush=True)\n"
    )
    for _ in range(3):
        file.unlink(missing_ok=True)
        writer = python(code, str(file))
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.strip() == "20":
                break
        writer.kill()
        written = 21 + len(writer.stdout.readlines())
        writer.wait(120)
        writer.stdout.close()
        assert writer.returncode != 0
        with sqlite3.connect(file) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert opened.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            (jokes,) = opened.execute("SELECT count(*) FROM smile_jokes").fetchone()
            (whole,) = opened.execute("SELECT count(*) FROM smile_reactions WHERE lift = 0.5").fetchone()
        opened.close()
        assert jokes == whole, "each joke with its reaction, or neither"
        assert whole >= written, "what was said to be stored is stored"
        board = JokeBoard(str(file))
        board.add(JOKE, Reaction(0, 1, 1))
        assert len(board.tallies()) == whole + 1


def test_two_processes_write_at_once_and_lose_nothing(tmp_path):
    file = tmp_path / "new" / "board.sqlite3"
    code = "for i in range(60): board.add(Joke(str(i % 7), 'ha', 'test'), Reaction(0, 0.5, 1))\n"
    writers = [python(code, str(file)) for _ in range(2)]
    for writer in writers:
        said, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    tallies = JokeBoard(str(file)).tallies()
    assert len(tallies) == 7, "no joke twice"
    assert sum(one.reactions for one in tallies) == 120


def test_threads_share_a_board(board):
    def react() -> None:
        for _ in range(10):
            board.add(JOKE, Reaction(0, 0.5, 1))
            board.tallies()

    threads = [threading.Thread(target=react) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [one.reactions for one in board.tallies()] == [40]


def test_threads_that_make_a_board_at_the_same_time_find_it_whole(tmp_path):
    for attempt in range(25):
        board = JokeBoard(str(tmp_path / f"{attempt}.sqlite3"))
        together = threading.Barrier(4)

        def react(board: JokeBoard = board, together: threading.Barrier = together) -> None:
            together.wait(120)
            board.add(JOKE, Reaction(0, 0.5, 1))

        threads = [threading.Thread(target=react) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [one.reactions for one in board.tallies()] == [4]


def test_a_place_that_can_not_be_used_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    for place in (tmp_path / "file" / "board.sqlite3", damaged, tmp_path):
        board = JokeBoard(str(place))
        with pytest.raises(BoardError, match=r"^The joke board .* can't be used \(.+\); .*--board\.$") as error:
            board.add(JOKE, Reaction(0, 1, 1))
        assert "\n" not in str(error.value)
    with pytest.raises(BoardError):
        JokeBoard(str(damaged)).tallies()
    assert damaged.read_bytes()[:16] == b"SQLite format 3\0", "and is left as it was"


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid"), reason="needs folder permissions")
def test_a_read_only_folder_is_no_board(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    tmp_path.chmod(0o500)
    with pytest.raises(BoardError):
        JokeBoard(str(tmp_path / "board.sqlite3")).add(JOKE, Reaction(0, 1, 1))
    tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_loses_one_reaction_and_keeps_the_others(tmp_path):
    file = tmp_path / "board.sqlite3"
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "board.add(Joke('first', 'ha', 'test'), Reaction(0, 1, 1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    board.add(Joke('second', 'x' * 300_000, 'test'), Reaction(0, 1, 1))\n"
        "except BoardError as error:\n"
        "    print(error)\n"
    )
    said, _ = python(code, str(file)).communicate(timeout=120)
    assert said.startswith("The joke board"), said
    assert [one.joke.id for one in JokeBoard(str(file)).tallies()] == ["first"]


def test_none_keeps_no_board():
    assert open_board("none") is None
    assert open_board("None") is None


@pytest.mark.parametrize("url", ["mysql://host/x", "http://host", "sqlite:///x"])
def test_other_databases_are_refused_before_the_start(url):
    with pytest.raises(SettingsError, match="--board must be a file"):
        open_board(url)


def test_a_useless_postgresql_address_is_refused_without_showing_its_password(monkeypatch):
    monkeypatch.setattr(joke_board.importlib.util, "find_spec", lambda _: object())
    with pytest.raises(SettingsError, match="not a PostgreSQL URL") as error:
        open_board("postgresql://me:secret@host:port/x")
    assert "secret" not in str(error.value)


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr(joke_board.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install 'psycopg"):
        open_board("postgresql://me:secret@host/smiles")


@pytest.mark.skipif("JOKE_BOARD_TEST_URL" not in os.environ, reason="JOKE_BOARD_TEST_URL names no empty PostgreSQL database")
def test_postgresql_keeps_a_board_too():
    place = os.environ["JOKE_BOARD_TEST_URL"]
    board = JokeBoard(place)
    assert board.tallies() == []
    code = "for i in range(30): board.add(Joke(str(i % 7), 'ha', 'test'), Reaction(0.25, 0.75, 1))\n"
    for writer in [python(code, place) for _ in range(2)]:
        said, _ = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    tallies = board.tallies()
    assert (len(tallies), sum(one.reactions for one in tallies), sum(one.lifts for one in tallies)) == (7, 60, 30)
    with pytest.raises(BoardError, match=r"in PostgreSQL can't be used"):
        JokeBoard("postgresql://nobody:secret@127.0.0.1:1/nothing").tallies()


def test_the_default_file_lies_in_the_users_data_folder(tmp_path):
    given = {"XDG_DATA_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    expected = tmp_path / "dad-jokes-for-smiles" / "joke_board.sqlite3"
    assert default_file(given, "linux") == default_file(given, "win32") == expected
    assert default_file({"XDG_DATA_HOME": "relative"}, "linux").is_relative_to(Path.home() / ".local" / "share")
    assert "Application Support" in str(default_file({}, "darwin"))


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


# One reaction for each telling


def test_a_reaction_counts_once_for_each_telling_within_ten_minutes():
    now = [0.0]
    tellings = Tellings(clock=lambda: now[0])
    with pytest.raises(UnknownJoke):
        tellings.take("house", "a")
    tellings.note(JOKE)
    tellings.note(JOKE)
    assert tellings.take("house", "a") == tellings.take("house", "a") == JOKE
    with pytest.raises(AlreadyCounted, match="counted already"):
        tellings.take("house", "a")
    with pytest.raises(UnknownJoke):
        tellings.take("icanhazdadjoke", "a")
    tellings.note(JOKE)
    now[0] += GOOD_FOR_S + 1
    with pytest.raises(AlreadyCounted):
        tellings.take("house", "a")


def test_a_flood_is_stopped_for_a_minute_and_memory_is_bounded():
    now = [0.0]
    tellings = Tellings(clock=lambda: now[0], per_minute=60)
    for i in range(20_000):
        tellings.note(joke(i))
        tellings.note(JOKE)
    assert len(tellings._jokes) <= 10_000
    for _ in range(60):
        tellings.take("house", "a")
    with pytest.raises(TooManyCounted, match="in a minute"):
        tellings.take("house", "a")
    now[0] += 61
    assert tellings.take("house", "a") == JOKE


def test_a_file_whose_journal_another_process_changes_is_waited_for(tmp_path):
    file = tmp_path / "board.sqlite3"
    other = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE t (x)")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    ours = sqlite3.connect(file, timeout=0)  # as SQLite behaves for such a change
    _begin_wal(ours)
    assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    release.join()
    ours.close()
    other.close()
