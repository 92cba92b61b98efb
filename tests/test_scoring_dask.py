"""On a real cluster of this computer: a scheduler and workers in processes of their own."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import psutil
import pytest

from inference import main
from tests.project import ROOT, clean_environment
from tests.scored import HELD
from tests.waiting import eventually

FILES = 200
HALF_WAY = 4000  # bytes of the table

pytestmark = [pytest.mark.slow(30), pytest.mark.timeout(600)]  # a cluster is half a dozen processes that each load much


@pytest.fixture(scope="module")
def event(tmp_path_factory, astronaut) -> Path:
    """Many links to few small photos, a damaged one, and a video."""
    folder = tmp_path_factory.mktemp("event")
    cv2.imwrite(str(folder / "000.jpg"), astronaut[20:220, 120:320])
    for i in range(1, FILES):
        os.link(folder / "000.jpg", folder / f"{i:03}.jpg")
    (folder / "100 broken.jpg").write_bytes(b"no picture")
    writer = cv2.VideoWriter(str(folder / "050.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (240, 200))
    for i in range(30):
        writer.write(astronaut[20:220, 100 + i : 340 + i])
    writer.release()
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a scheduler, and the process that keeps two workers of one thread each."""
    pytest.importorskip("distributed", reason="needs Dask: pip install -r requirements/scale.txt")
    folder = tmp_path_factory.mktemp("dask")
    found = folder / "scheduler.json"
    common = ["--no-dashboard", "--scheduler-file", str(found)]
    environment = clean_environment() | {"PYTHONPATH": str(ROOT)}
    processes = []

    def start(*arguments: str, cwd: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *arguments, *common]
        with (folder / f"{arguments[0]}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=log, stderr=log)
        processes.append(process)
        return process

    # The scheduler knows nothing of this project.
    environment.pop("PYTHONPATH")
    start("scheduler", "--host", "127.0.0.1", "--port", "0", cwd=folder)
    try:
        eventually(lambda: found.is_file() and found.read_text().endswith("}"), "the scheduler")
        environment["PYTHONPATH"] = str(ROOT)
        keeper = start("worker", "--nworkers", "2", "--nthreads", "1", cwd=folder)
        log = folder / "worker.log"
        eventually(lambda: log.read_text().count("Registered to:") >= 2, "the workers")
        yield json.loads(found.read_text())["address"], psutil.Process(keeper.pid)
    finally:
        left = [child for process in processes for child in psutil.Process(process.pid).children(recursive=True)]
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(120)
        for child in psutil.wait_procs(left, timeout=15)[1]:
            child.kill()


@contextmanager
def running(event: Path, address: str, table: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """It waits half-way while there is a file `hold` beside the table."""
    program = ["-c", HELD, str(table.with_name("hold")), str(HALF_WAY)]
    command = [sys.executable, *program, event.name, "--dask", address, "--out", str(table), *arguments]
    # From another folder, with a relative path: workers run elsewhere.
    with subprocess.Popen(command, cwd=event.parent, stderr=subprocess.PIPE, text=True, env=clean_environment()) as process:
        try:
            yield process
        finally:
            process.kill()  # if it is still there


def workers(keeper: psutil.Process) -> list[psutil.Process]:
    found = []
    for process in keeper.children():
        with suppress(psutil.Error):  # it has just ended
            if "resource_tracker" not in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_with_a_worker_killed_half_way_every_file_is_scored_once(event, cluster, tmp_path, monkeypatch):
    address, keeper = cluster
    monkeypatch.chdir(event.parent)
    undisturbed = tmp_path / "undisturbed.csv"
    assert main([event.name, "--out", str(undisturbed), "--workers", "2"]) == 0
    table, part = tmp_path / "t.csv", tmp_path / "t.csv.part"
    before = workers(keeper)
    assert len(before) == 2
    hold = tmp_path / "hold"
    hold.touch()
    with running(event, address, table) as process:
        eventually(lambda: process.poll() is not None or (part.is_file() and part.stat().st_size >= HALF_WAY), "rows")
        rows_then = part.read_text().count("\n")
        before[0].kill()
        hold.unlink()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert not before[0].is_running(), "it was really killed"
    assert rows_then < FILES, "and that was half-way"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["file"] for row in rows if not row["time_s"])
    assert len(counts) == FILES + 1
    assert set(counts.values()) == {1}
    assert table.read_bytes() == undisturbed.read_bytes(), "the same rows in the same order as without a cluster"
    assert f"files: {FILES + 2}, " in err
    eventually(lambda: len(workers(keeper)) == 2, "the worker in its place")


def test_a_run_on_a_cluster_goes_on_where_it_was_killed(event, cluster, tmp_path):
    address, _ = cluster
    table, part = tmp_path / "t.csv", tmp_path / "t.csv.part"
    hold = tmp_path / "hold"
    hold.touch()
    with running(event, address, table, "--cropped") as process:
        eventually(lambda: process.poll() is not None or (part.is_file() and part.stat().st_size >= HALF_WAY), "rows")
        process.kill()
    hold.unlink()
    done = json.loads((tmp_path / "t.csv.progress").read_text())["tally"]["files"]
    assert done > 0
    with running(event, address, table, "--cropped") as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    with table.open(newline="") as file:
        counts = Counter(row["file"] for row in csv.DictReader(file) if not row["time_s"])
    assert len(counts) == FILES + 1
    assert set(counts.values()) == {1}


def test_what_no_worker_can_do_gets_one_sentence(event, cluster, tmp_path):
    address, _ = cluster
    with running(event, address, tmp_path / "t.csv", "--detector", "yunet", "--detector-model", "nowhere.onnx") as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "There is no detector model at" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


# It gives up after 15 seconds; here nothing answers at once.
SOON = "from scoring import dask_cluster; dask_cluster._CONNECT_S = 1.0; import sys, inference; sys.exit(inference.main())"


def test_without_a_scheduler_it_gets_one_sentence(face_picture, tmp_path):
    pytest.importorskip("distributed", reason="needs Dask: pip install -r requirements/scale.txt")
    command = [
        sys.executable,
        "-c",
        SOON,
        str(face_picture),
        "--dask",
        "tcp://127.0.0.1:9",
        "--out",
        str(tmp_path / "t.csv"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=clean_environment(), check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("There is no Dask scheduler at tcp://127.0.0.1:9")
    assert done.stderr.count("\n") == 1


def test_without_dask_it_says_how_to_get_it(face_picture, tmp_path):
    (tmp_path / "distributed.py").write_text("raise ImportError('not installed')")
    command = [sys.executable, "-c", "import sys, inference; sys.exit(inference.main(sys.argv[1:]))"]
    environment = clean_environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    options = ["--dask", "tcp://127.0.0.1:9", "--out", str(tmp_path / "t.csv")]
    done = subprocess.run(
        [*command, str(face_picture), *options], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert done.returncode == 2
    assert "pip install -r requirements/scale.txt" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "distributed==" in (ROOT / "requirements/scale.txt").read_text()
