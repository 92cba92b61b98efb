"""A joke board that several write to at once, whose writer is killed, or whose disk is full or read-only."""

import os
import sqlite3
import sys
import threading

import pytest

from common.errors import BoardError
from jokes.board import JokeBoard, _begin_wal
from jokes.joke import Reaction
from tests.joke_boards import JOKE, python


@pytest.fixture
def board(tmp_path) -> JokeBoard:
    return JokeBoard(str(tmp_path / "folder" / "board.sqlite3"))


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
