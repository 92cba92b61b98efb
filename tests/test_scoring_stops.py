"""A run is stopped at every single point where it can be, and the same command then ends with the table of one that was not.

Killed: after each call that writes, flushes, syncs, renames, cuts or removes. Power cut: what was not synced is lost too.
Ctrl-C: before each line that counts rows, writes them or notes how far the run has come.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import inference
from common.face import Box, Face
from pictures.finding import MediaFile
from scoring import resume, table_writer
from scoring.rows import empty_row, face_row
from scoring.work import Work

pytestmark = pytest.mark.slow(40)

FILES = ("1.jpg", "2.jpg", "3.avi")  # a face, a damaged file, a face in each of two frames
STEPS = {"open", "write", "writerow", "flush", "fsync", "close", "replace", "unlink", "truncate", "write_table"}
KILLED = 77


class MadeUpFaces:
    """Stands for the scorer: rows for each file by its name alone, one of a video for each frame."""

    def rows(self, file: MediaFile):
        number = int(re.findall(r"\d+", file.path)[-1])
        if number == 2:
            yield empty_row(file.path, 0, None, "The file is no picture that can be read.")
        for frame in range(2 if file.is_video else number != 2):
            face = Face(1, Box(10, 30, 40, 5), number / 10, number / 10, tuple((float(i), 2.5) for i in range(5)))
            yield face_row(file.path, frame, frame / 25 if file.is_video else None, 1, face, tracked=file.is_video)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Callable[[str], int]:
    """Scores the files into `t.KIND` and returns the exit code, without any network."""
    if sys.platform == "win32":
        pytest.skip("needs fork")
    monkeypatch.setattr(Work, "scorer", lambda work: MadeUpFaces())
    monkeypatch.chdir(tmp_path)
    Path("event").mkdir()
    for name in FILES:
        (Path("event") / name).write_bytes(b"not looked into")
    monkeypatch.setattr(resume, "_SAVE_EVERY_S", 600.0)
    return lambda kind: inference.main(["event", "--cropped", "--workers", "1", "--out", f"t.{kind}"])


def save_after_each_file(monkeypatch) -> None:
    """Else it happens once a second: in a run as short as these, after the first file only."""
    monkeypatch.setattr(resume, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(resume, "_MOST_TIME", float("inf"))


def content(kind: str) -> object:
    """What the finished table holds."""
    if kind == "parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(f"t.{kind}").to_pylist()
    return Path(f"t.{kind}").read_bytes()


def finished(kind: str) -> object:
    """The same, of a folder that holds nothing else, which is then as before."""
    table = content(kind)
    assert sorted(os.listdir()) == ["event", f"t.{kind}"]
    os.unlink(f"t.{kind}")
    return table


def in_another_process(act: Callable[[], object]) -> int:
    """The exit code of a copy of this process that does `act` and nothing else."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1), os.dup2(null, 2)
            act()
            code = 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_after_step(number: int, *, power_cut: bool) -> None:
    """Ends this process, buffers and all, after so many steps from now on; without power, files are as last synced."""
    synced: dict[int, int] = {}  # by inode
    fsync, count = os.fsync, 0

    def noting_fsync(file: int) -> None:
        fsync(file)
        synced[os.fstat(file).st_ino] = os.fstat(file).st_size

    def step(frame: FrameType, event: str, function: object) -> None:
        nonlocal count
        if event != "c_return" or getattr(function, "__name__", "") not in STEPS:
            return
        count += 1
        if count < number:
            return
        sys.setprofile(None)
        if power_cut:
            for path in Path().glob("t.*"):
                if path.stat().st_size > synced.get(path.stat().st_ino, 0):
                    os.truncate(path, synced.get(path.stat().st_ino, 0))
        os._exit(KILLED)

    setattr(os, "fsync", noting_fsync)  # noqa: B010
    sys.setprofile(step)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the copy does not use them
@pytest.mark.parametrize(
    ("kind", "power_cut", "each"),
    [("csv", False, True), ("jsonl", True, False), ("parquet", True, True)],
)
def test_stopped_after_any_step_the_same_command_ends_with_the_same_table(kind, power_cut, each, run, capfd, monkeypatch):
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install -r requirements/scale.txt")
    if each:
        save_after_each_file(monkeypatch)
    assert run(kind) == 0
    whole = finished(kind)
    steps = 0
    while True:
        steps += 1

        def until_then(steps: int = steps) -> None:
            die_after_step(steps, power_cut=power_cut)
            run(kind)

        code = in_another_process(until_then)
        assert code in (0, KILLED)
        if code == 0:
            break
        left = {path.name: path.stat().st_size for path in Path().glob("t.*")}
        capfd.readouterr()
        assert run(kind) == 0, f"stopped after step {steps}, which left {left}: {capfd.readouterr().err}"
        assert finished(kind) == whole, f"stopped after step {steps}, which left {left}"
    assert steps > 20, "or nothing was tried"
    assert finished(kind) == whole


def interrupt_at_line(number: int) -> Callable[[], int]:
    """Ctrl-C before the line of that number from now on; the function says how many lines there were."""
    files = {resume.__file__, table_writer.__file__, inference.__file__}
    count = 0

    def line(frame: FrameType, event: str, _: object):
        nonlocal count
        if event == "line":
            count += 1
            if count == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return line

    def call(frame: FrameType, event: str, _: object):
        name = frame.f_code.co_qualname
        ours = name == "score" or (name.startswith(("ScoringProgress.", "Table.")) and not name.endswith("__"))
        return line if ours and frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(call)

    def done() -> int:
        sys.settrace(before)
        return count

    return done


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file opened, not yet in its `with`
@pytest.mark.parametrize("kind", ["csv", "parquet"])  # which stands as JSON Lines until it is finished
def test_ctrl_c_before_any_line_leaves_a_run_that_can_go_on(kind, run, capsys, monkeypatch):
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install -r requirements/scale.txt")
    if kind == "csv":
        save_after_each_file(monkeypatch)
    assert run(kind) == 0
    whole = finished(kind)
    lines = number = gone_on = 0
    while lines >= number:
        number += 1
        done = interrupt_at_line(number)
        try:
            code = run(kind)
        finally:
            lines = done()
        assert code in (0, 130)
        progress = Path(f"t.{kind}.progress")
        files = json.loads(progress.read_text())["tally"]["files"] if progress.exists() else 0
        gone_on += 0 < files < len(FILES)
        said = capsys.readouterr().err
        assert run(kind) == 0, f"stopped before line {number}: {said}{capsys.readouterr().err}"
        assert "files: 3, faces: 3, " in capsys.readouterr().err, f"stopped before line {number}"
        assert finished(kind) == whole, f"stopped before line {number}"
    assert code == 0, "this time nobody interrupted it"
    assert gone_on > 20, "or every run began anew"
