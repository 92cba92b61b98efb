import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference import main
from scoring.rows import COLUMNS
from tests.project import ROOT, clean_environment
from tests.scored import HELD
from tests.waiting import eventually

FILES = 400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # many processes, each of which loads the networks


@pytest.fixture(scope="module")
def event(tmp_path_factory, astronaut) -> Path:
    """Many links to few photos, a damaged one, and a video, in two folders."""
    folder = tmp_path_factory.mktemp("event")
    (folder / "sub").mkdir()
    faces = folder / "faces"
    faces.mkdir()
    for i in range(5):
        cv2.imwrite(str(faces / f"{i}.jpg"), astronaut[60 + i : 180 + i, 160:280])
    for i in range(FILES):
        os.link(faces / f"{i % 5}.jpg", folder / ("sub" if i % 3 else ".") / f"{i:04}.jpg")
    shutil.rmtree(faces)
    (folder / "0100 broken.jpg").write_bytes(b"no picture")
    writer = cv2.VideoWriter(str(folder / "0200.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (120, 120))
    for i in range(60):
        writer.write(np.ascontiguousarray(astronaut[60:180, 150 + i % 9 : 270 + i % 9]))
    writer.release()
    return folder


@pytest.fixture(scope="module")
def undisturbed(event, tmp_path_factory) -> Path:
    """What one run without any trouble makes of it."""
    made = tmp_path_factory.mktemp("undisturbed")
    for kind in ("csv", "jsonl"):
        assert main([str(event), "--cropped", "--out", str(made / f"t.{kind}"), "--workers", "1"]) == 0
    return made


@pytest.fixture
def hold(tmp_path_factory) -> Path:
    """While there is this file, runs that were started with it wait half-way."""
    path = tmp_path_factory.mktemp("hold") / "hold"
    path.touch()
    return path


def start(*arguments, hold: Path | None = None, size: int = 0) -> subprocess.Popen:
    """`hold`: the run waits when its table has `size` bytes."""
    program = ["inference.py"] if hold is None else ["-c", HELD, str(hold), str(size)]
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=clean_environment())


def finish(*arguments) -> str:
    process = start(*arguments)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return err


def wait_for_size(part: Path, size: int, process: subprocess.Popen) -> None:
    eventually(lambda: process.poll() is not None or (part.is_file() and part.stat().st_size >= size))


@pytest.mark.parametrize(("seed", "kind", "workers"), [(1, "csv", 2), (2, "jsonl", 1)])
def test_a_killed_run_goes_on_and_ends_with_the_same_table(seed, kind, workers, event, undisturbed, hold, tmp_path):
    whole = (undisturbed / f"t.{kind}").read_bytes()
    table, part = tmp_path / f"t.{kind}", tmp_path / f"t.{kind}.part"
    size = random.Random(seed).randrange(len(whole) // 3, 2 * len(whole) // 3)
    process = start(event, "--cropped", "--out", table, "--workers", workers, hold=hold, size=size)
    wait_for_size(part, size, process)
    process.send_signal(signal.SIGKILL)
    process.wait(120)
    process.stderr.close()
    assert not table.exists()
    kept = json.loads((tmp_path / f"t.{kind}.progress").read_text())
    assert part.read_bytes()[: kept["bytes"]] == whole[: kept["bytes"]]
    # What another file left half-written is cut off.
    with part.open("ab") as file:
        file.write(b"half a row of a fi")
    before = kept["tally"]["files"]
    assert before > 0
    err = finish(event, "--cropped", "--out", table, "--workers", 3 - workers)
    assert table.read_bytes() == whole
    assert f"files: {FILES + 2}, faces: {FILES + 60}, " in err, "counted over both runs"
    assert sorted(path.name for path in tmp_path.iterdir()) == [table.name]


def stopped(event: Path, table: Path, hold: Path, *arguments) -> dict:
    """A run that Ctrl-C stops half-way; its progress."""
    process = start(event, "--cropped", "--out", table, *arguments, hold=hold, size=9000)
    wait_for_size(table.with_name(f"{table.name}.part"), 9000, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert err.endswith(f"Stopped. The rows so far are in {table}.part. Run the same command again to go on.\n"), err
    assert err.count("\n") <= 2, "no process complains"
    return json.loads(table.with_name(f"{table.name}.progress").read_text())


def test_nothing_is_read_again_after_ctrl_c(event, undisturbed, hold, tmp_path):
    progress = stopped(event, tmp_path / "t.csv", hold, "--workers", "2")
    done = progress["tally"]["files"]
    # Proof: what is in the table already is taken as it is.
    part = tmp_path / "t.csv.part"
    whole = (undisturbed / "t.csv").read_bytes()
    changed = part.read_bytes()[: progress["bytes"]].replace(b".jpg,0,,1", b".jpg,7,,1")
    part.write_bytes(changed)
    finish(event, "--cropped", "--out", tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert sum(row["frame"] == "7" and row["file"].endswith(".jpg") for row in rows) >= done - 2
    assert (tmp_path / "t.csv").read_bytes() == changed + whole[len(changed) :]


def test_an_unfinished_run_is_not_mixed_with_another_one(event, hold, tmp_path, capsys):
    table = tmp_path / "t.csv"
    stopped(event, table, hold, "--workers", "1")
    before = (tmp_path / "t.csv.part").read_bytes()
    for arguments, name in (
        ([event], "--cropped"),
        ([event, "--cropped", "--annotate", tmp_path / "marked"], "--annotate"),
        ([event / "sub", "--cropped"], "list of paths"),
    ):
        assert main([*map(str, arguments), "--out", str(table)]) == 2
        err = capsys.readouterr().err
        assert f"with a different {name}; give the same command to go on, or add --restart" in err
        assert err.count("\n") == 1
    assert (tmp_path / "t.csv.part").read_bytes() == before
    assert main([str(event / "sub"), "--cropped", "--out", str(table), "--restart"]) == 0
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["file"]).parent for row in rows} == {event / "sub"}
    assert not (tmp_path / "t.csv.progress").exists()


def test_files_that_came_or_went_meanwhile_are_noticed(event, hold, tmp_path, capsys):
    mine = tmp_path / "event"
    shutil.copytree(event, mine, copy_function=os.link)
    table = tmp_path / "t.csv"
    stopped(mine, table, hold, "--workers", "1")
    (mine / "0000.jpg").rename(mine / "0000 renamed.jpg")
    assert main([str(mine), "--cropped", "--out", str(table)]) == 2
    assert "Files were added or removed since" in capsys.readouterr().err
    assert (tmp_path / "t.csv.part").exists()
    (mine / "0000 renamed.jpg").rename(mine / "0000.jpg")
    assert main([str(mine), "--cropped", "--out", str(table)]) == 0


def test_rows_of_unknown_origin_are_left_alone(tmp_path, face_picture, capsys):
    part = tmp_path / "t.csv.part"
    part.write_text("somebody's rows\n")
    assert main([str(face_picture), "--out", str(tmp_path / "t.csv")]) == 2
    assert "was left by another program or an earlier version" in capsys.readouterr().err
    (tmp_path / "t.csv.progress").write_text("{")
    assert main([str(face_picture), "--out", str(tmp_path / "t.csv")]) == 2
    assert "can't be read" in capsys.readouterr().err
    assert part.read_text() == "somebody's rows\n"
    assert main([str(face_picture), "--out", str(tmp_path / "t.csv"), "--restart"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fcntl")
def test_two_runs_do_not_write_one_table(event, hold, tmp_path, capsys):
    table = tmp_path / "t.csv"
    process = start(event, "--out", table, "--workers", "1", hold=hold, size=1000)
    try:
        wait_for_size(tmp_path / "t.csv.part", 1000, process)
        assert main([str(event), "--out", str(table)]) == 2
        assert "Another run is writing" in capsys.readouterr().err
    finally:
        process.kill()
        process.communicate(timeout=120)
    assert (tmp_path / "t.csv.part").stat().st_size >= 1000


def test_an_older_table_stays_until_the_new_one_is_whole(event, undisturbed, hold, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("an older table\n")
    stopped(event, table, hold)
    assert table.read_text() == "an older table\n"
    finish(event, "--cropped", "--out", table)
    assert table.read_bytes() == (undisturbed / "t.csv").read_bytes()


class TestParquet:
    def test_a_parquet_table_holds_the_same_values_after_a_kill_too(self, event, undisturbed, hold, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install -r requirements/scale.txt")
        table = tmp_path / "t.parquet"
        stopped(event, table, hold)
        finish(event, "--cropped", "--out", table)
        made = parquet.read_table(table)
        assert tuple(made.column_names) == COLUMNS
        lines = (undisturbed / "t.jsonl").read_text().splitlines()
        assert made.to_pylist() == [json.loads(line) for line in lines]
        types = {name: str(made.schema.field(name).type) for name in ("file", "frame", "face", "smile", "error")}
        assert types == {"file": "string", "frame": "int64", "face": "int64", "smile": "double", "error": "string"}
        assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]

    def test_rows_are_written_group_by_group(self, tmp_path, monkeypatch):
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install -r requirements/scale.txt")
        from scoring import parquet_table
        from scoring.rows import empty_row

        monkeypatch.setattr(parquet_table, "ROWS_IN_A_GROUP", 10)
        taken = []

        def rows():
            for number in range(25):
                taken.append(number)
                yield empty_row("caf\udce9.jpg", number, None)

        parquet_table.write_parquet(rows(), tmp_path / "t.parquet")
        made = parquet.ParquetFile(tmp_path / "t.parquet")
        assert made.num_row_groups == 3
        assert made.read()["frame"].to_pylist() == list(range(25))
        assert set(made.read()["file"].to_pylist()) == {"caf\\xe9.jpg"}
        made.close()

    def test_without_pyarrow_it_is_refused_before_any_work(self, tmp_path, face_picture):
        (tmp_path / "pyarrow.py").write_text("raise ImportError('not installed')")
        command = [sys.executable, "-c", "import sys, inference; sys.exit(inference.main(sys.argv[1:]))", str(face_picture)]
        environment = clean_environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
        done = subprocess.run(
            [*command, "--out", str(tmp_path / "t.parquet")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
        )
        assert done.returncode == 2
        assert "pip install -r requirements/scale.txt" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not list(tmp_path.glob("t.*"))
        assert "pyarrow==" in (ROOT / "requirements/scale.txt").read_text()
