"""The table of decisions: the last one holds, and neither a kill nor a full disk damages it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.relabelling import rows_of, run, save_home
from tests.sentences import assert_one_sentence
from training.labels.decisions import Journal, read_decisions

pytestmark = pytest.mark.slow

_HEAD = "source,name,decision,by,time\n"
_TIME = "2026-01-02T03:04:05Z"


@pytest.fixture
def home(tmp_path) -> Path:
    return save_home(tmp_path)


def test_the_last_decision_holds_and_undo_brings_back_the_one_before(tmp_path):
    a, b = ("mine", "a, with comma.png"), ("mine", 'b "quoted" \u00e9.png')
    with Journal(tmp_path / "new" / "d.csv") as journal:
        journal.add([(a, "smile")], "Ann")
        journal.add([(a, "drop")], "Ann")
        journal.add([(b, "skip")], "Ann")
        assert journal.undo({a}) == a, "of these faces only"
        assert {key: one.choice for key, one in journal.standing().items()} == {a: "smile", b: "skip"}
    with Journal(tmp_path / "new" / "d.csv") as journal:
        assert journal.undo({a, b}) == b
        assert journal.undo({a, b}) == a
        assert journal.undo({a, b}) is None
    assert read_decisions(tmp_path / "new" / "d.csv") == {}
    assert [row[2] for row in rows_of(tmp_path / "new" / "d.csv")] == ["smile", "drop", "skip", "undo", "undo", "undo"]


def test_wherever_a_kill_cuts_the_table_off_all_whole_lines_hold_and_writing_goes_on(tmp_path):
    path = tmp_path / "d.csv"
    with Journal(path) as journal:
        for i, choice in enumerate(("smile", "drop")):
            journal.add([(("mine", f"{i}.png"), choice)], "person")
    whole = path.read_bytes()
    first_line, second_line = (m.end() for m in list(re.finditer(b"\n", whole))[:2])
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        expected = (size >= second_line - 1) + (size >= len(whole) - 1)  # a line that lacks its end only is whole
        assert len(read_decisions(path)) == expected, size
        with Journal(path) as journal:
            journal.add([(("mine", "new.png"), "skip")], "person")
        assert len(rows_of(path)) == len(read_decisions(path)) == expected + 1
        assert path.read_bytes().count(b"\n") == expected + 2
    assert first_line == len(_HEAD)


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (_HEAD + f"mine,a.png,smile,Ann,{_TIME}").replace("\n", "\r\n").encode())
    assert read_decisions(path)["mine", "a.png"].choice == "smile"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"source,name\nmine,a.png\n", "is not a table of"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is damaged"),
        (b"half a word", "is not a table of"),
        (_HEAD.encode() + b"mine,a.png,perhaps,Ann,now\n", "Line 2 of"),
        (_HEAD.encode() + b"mine,a.png,smile\n", "Line 2 of"),
        (_HEAD.encode() + b'mine,"a.png,smile,Ann,now\n', "is damaged"),
        (_HEAD.encode() + b"\n", "Line 2 of"),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--automatic",), ("--report",)])
def test_a_corrupt_table_gets_one_sentence_and_is_left_alone(home, capsys, content, sentence, mode):
    (home / "decisions.csv").write_bytes(content)
    assert run(home, *mode) == 2
    assert_one_sentence(capsys, sentence)
    assert (home / "decisions.csv").read_bytes() == content


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "d.csv"
    with Journal(path) as journal:
        journal.add([(("mine", "a.png"), "smile")], "Ann")
        before = path.read_bytes()

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("training.labels.decisions.os.fsync", full)
            with pytest.raises(OSError, match="No space"):
                journal.add([(("mine", "b.png"), "smile")], "Ann")
        assert path.read_bytes() == before
        journal.add([(("mine", "c.png"), "drop")], "Ann")
    assert list(read_decisions(path)) == [("mine", "a.png"), ("mine", "c.png")]


def test_what_a_really_full_disk_refused_is_not_written_later(tmp_path):
    """A limit on the size of a file stands for the disk: the second row fits in part, and the third is written after it."""
    code = """
import resource, signal, sys
from pathlib import Path
from training.labels.decisions import Journal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(Path(sys.argv[1])) as journal:
    journal.add([(("mine", "a.png"), "smile")], "Ann")
    size = Path(sys.argv[1]).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, resource.RLIM_INFINITY))
    try:
        journal.add([(("mine", "b.png"), "smile")], "Ann")
    except OSError:
        print("refused", Path(sys.argv[1]).stat().st_size == size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.add([(("mine", "c.png"), "drop")], "Ann")
"""
    pytest.importorskip("resource")
    path = tmp_path / "d.csv"
    tool = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert tool.stdout == "refused True\n", tool.stderr
    assert [row[1:3] for row in rows_of(path)] == [("a.png", "smile"), ("c.png", "drop")]
