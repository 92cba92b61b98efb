import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.scoring import WITH_PEAKS
from common.errors import OutputError, ProcessesError
from inference import main
from pictures import finding
from pictures.finding import MediaFile, count_media, find_media, scan_media
from scoring import run
from scoring.rows import empty_row
from scoring.work import PackedRows
from scoring.workers import CRASHED, GIVEN_UP, ScoringWorkers
from tests.project import ROOT, clean_environment
from tests.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.slow(40), pytest.mark.timeout(600)]  # many processes


@dataclass(frozen=True)
class OddWork:
    """Work that does what a file's name says; it takes the place of networks and decoders in a real worker process."""

    folder: str

    def scorer(self) -> "OddWork":
        if self.folder == "nowhere":
            os._exit(3)
        if Path(self.folder).name == "late":
            time.sleep(4)
        return self

    def all_rows(self, file, alive):
        name = Path(file.path).stem
        if name.startswith("crash"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("once"):  # the first to read it is killed, as when memory runs out
            mark = Path(self.folder, name)
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("hang"):
            time.sleep(600)
        if name.startswith("slow"):
            time.sleep(0.5)
        if name.startswith("long"):
            for second in range(10):
                time.sleep(1.1)
                alive(float(second))
        if name.startswith("full"):
            raise OutputError("The disk is full.")
        print(f"a note on {name[:4]}", file=sys.stderr)
        return [empty_row(file.path, 0, None)]


def photos(*names: str) -> list[MediaFile]:
    return [MediaFile(f"{name}.jpg") for name in names]


def paths_and_errors(results) -> list[tuple[str, str | None]]:
    return [(file.path, row["error"]) for file, rows in results for row in rows]


def test_results_come_in_the_order_of_the_files_and_only_some_are_read_ahead(tmp_path):
    names = ["slow", *(f"quick{i}" for i in range(400)), "slow2", "quick"]
    taken = []

    def files():
        for file in photos(*names):
            taken.append(file)
            yield file

    with ScoringWorkers(OddWork(str(tmp_path)), 2) as workers:
        results = workers.results(files())
        first = next(results)
        assert len(taken) <= 2 * 64 + 2, "the others wait"
        assert [first[0].path, *(file.path for file, _ in results)] == [f"{name}.jpg" for name in names]
        pids = workers.pids()
        assert len(pids) == 2
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "no process is left"


def test_a_file_that_ends_its_worker_has_a_row_that_says_so_and_costs_no_other_one(tmp_path, capfd):
    names = ["a", "crash", "b", "once", "c", "crash2", "d"]
    with ScoringWorkers(OddWork(str(tmp_path)), 2) as workers:
        found = paths_and_errors(workers.results(iter(photos(*names))))
    assert found == [(f"{name}.jpg", CRASHED if name.startswith("crash") else None) for name in names]
    said = capfd.readouterr().err.splitlines()
    assert said.count("a note on a") == 1, "what a worker says is heard, once"


def test_a_worker_that_is_killed_from_outside_costs_nothing(tmp_path):
    with ScoringWorkers(OddWork(str(tmp_path)), 2) as workers:
        results = workers.results(iter(photos(*(f"slow{i}" for i in range(8)))))
        found = [next(results)]
        os.kill(workers.pids()[0], signal.SIGKILL)
        found += results
    assert paths_and_errors(found) == [(f"slow{i}.jpg", None) for i in range(8)]


def test_a_file_that_never_comes_back_is_given_up_and_one_that_goes_on_is_not(tmp_path):
    files = [*photos("a", "hang", "b"), MediaFile("long.mp4", is_video=True), *photos("c")]
    with ScoringWorkers(OddWork(str(tmp_path)), 2, patience_s=8.0) as workers:
        found = paths_and_errors(workers.results(iter(files)))
    assert found == [(file.path, GIVEN_UP if "hang" in file.path else None) for file in files]


def test_a_worker_that_takes_long_to_start_is_waited_for(tmp_path):
    with ScoringWorkers(OddWork(str(tmp_path / "late")), 1, patience_s=3.0) as workers:
        assert paths_and_errors(workers.results(iter(photos("a", "b")))) == [("a.jpg", None), ("b.jpg", None)]


def test_what_stops_a_worker_stops_the_run_after_the_files_before_it(tmp_path):
    found: list[str] = []
    with ScoringWorkers(OddWork(str(tmp_path)), 2) as workers:
        results = workers.results(iter(photos("slow", "a", "full", "b")))
        with pytest.raises(OutputError, match="The disk is full"):
            found.extend(file.path for file, _ in results)
    assert found == ["slow.jpg", "a.jpg"]


def test_workers_that_can_not_start_are_not_started_for_ever():
    with ScoringWorkers(OddWork("nowhere"), 2) as workers, pytest.raises(ProcessesError, match="--workers 1"):
        list(workers.results(iter(photos("a", "b"))))


def test_rows_of_a_video_are_packed_and_come_back_as_they_were():
    rows = [empty_row("caf\udce9.avi", number, number / 25) for number in range(5000)]
    packed = PackedRows()
    for row in rows:
        packed.add(row)
    packed.close()
    assert list(packed) == rows == list(packed)
    assert sum(map(len, packed._blocks)) < 0.05 * sum(len(str(row)) for row in rows)
    nothing = PackedRows()
    nothing.close()
    assert list(nothing) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory, astronaut) -> Path:
    """30 small photos with a face, one without, two that are damaged, and two videos."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(30):
        face = cv2.resize(astronaut[20 : 220 + i, 120 : 320 + i], (180, 180), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{i:02}.jpg"), face)
    cv2.imwrite(str(folder / "10 wall.png"), np.full((60, 60, 3), 90, np.uint8))
    (folder / "11 empty.jpg").touch()
    (folder / "20 text.jpg").write_text("I am no picture")
    for name, frames in (("15.avi", 40), ("25.avi", 20)):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"MJPG"), 25, (240, 200))
        for i in range(frames):
            writer.write(astronaut[20:220, 100 + i : 340 + i])
        writer.release()
    return folder


def test_the_table_is_the_same_however_many_workers_there_are(tmp_path, folder):
    for workers in (1, 2, 3):
        arguments = ["--annotate", str(tmp_path / f"marked{workers}"), "--workers", str(workers)]
        assert main([str(folder), "--out", str(tmp_path / f"{workers}.csv"), *arguments]) == 0
    one = (tmp_path / "1.csv").read_text()
    assert one.count("\n") > 90
    assert (tmp_path / "2.csv").read_text() == one == (tmp_path / "3.csv").read_text()
    for marked in (tmp_path / "marked1").iterdir():
        assert (tmp_path / "marked3" / marked.name).read_bytes() == marked.read_bytes() or marked.suffix == ".mp4"
    assert len(list((tmp_path / "marked1").iterdir())) == len(list((tmp_path / "marked3").iterdir())) == 33


def test_a_file_that_is_given_twice_is_read_twice(tmp_path, folder):
    again = [str(folder / "00.jpg")] * 5
    arguments = [str(folder), *again, "--out", str(tmp_path / "t.csv"), "--annotate", str(tmp_path / "marked")]
    assert main([*arguments, "--workers", "2"]) == 0
    assert (tmp_path / "t.csv").read_text().count(f"{folder}/00.jpg,") == 6


def test_a_script_that_calls_it_is_not_run_again_by_its_workers(tmp_path, folder):
    script = tmp_path / "mine.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
print("begun")
from inference import main
main([{str(folder)!r}, "--cropped", "--workers", "2", "--out", {str(tmp_path / "t.csv")!r}])
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=290)
    assert done.stdout == "begun\n"
    assert done.stderr.startswith("files: 35, ")


def test_the_bar_shows_how_many_of_how_many(folder, capsys, monkeypatch):
    monkeypatch.setattr(run, "_COUNT_WITHIN_S", PATIENCE_S)
    shown = run._Shown([str(folder)], earlier=30, bar=True)
    shown.video(MediaFile("party/long.mp4", is_video=True), 61.2)
    shown.file_done()
    shown.close()
    bar = capsys.readouterr().err
    assert "30/35" in bar
    assert "31/35" in bar
    assert "long.mp4: 61 s" in bar


def test_a_setting_that_no_worker_can_use_gets_one_sentence(tmp_path, folder, capsys):
    for option in (["--model", "nothing.tflite"], ["--detector", "yunet"]):
        assert main([str(folder), "--out", str(tmp_path / "table.csv"), "--workers", "2", *option]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert ("There is no network at nothing.tflite" in err) or ("--detector-model" in err)
    assert not list(tmp_path.iterdir())


def test_the_workers_end_when_the_first_process_is_killed(tmp_path, folder):
    import psutil

    many = tmp_path / "many"
    many.mkdir()
    for i in range(2000):
        os.link(folder / f"{i % 30:02}.jpg", many / f"{i:04}.jpg")
    command = [sys.executable, "inference.py", str(many), "--out", str(tmp_path / "t.csv"), "--workers", "2"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env=clean_environment())
    try:
        part = tmp_path / "t.csv.part"
        eventually(lambda: part.is_file() and part.stat().st_size > 3000)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
    finally:
        process.kill()
        process.wait(120)
    assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]


def test_a_folder_of_any_size_is_read_in_name_order_with_few_names_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "_NAMES_AT_ONCE", 7)
    monkeypatch.setattr(finding, "_BLOCK", 10)
    names = [f"{number * 7919 % 101:03}.jpg" for number in range(101)] + [
        "ö.jpg",
        os.fsdecode(b"\xe9.jpg"),
        "050.jpg.d/x.png",
    ]
    names += [f"050.jpg.d/{number}.bmp" for number in range(20)]
    (tmp_path / "050.jpg.d").mkdir()
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    files = [file.path for file in find_media([str(tmp_path)])]
    assert files == sorted(files)
    assert [path.removeprefix(f"{tmp_path}/") for path in files] == sorted(names)
    assert sorted(file.path for file in scan_media([str(tmp_path)])) == files
    assert count_media([str(tmp_path)], within_s=60) == len(names)
    assert count_media([str(tmp_path)], within_s=-1) is None


def test_folders_within_folders_are_walked_however_deep_they_are(tmp_path):
    folder = tmp_path
    for _ in range(1100):
        folder = folder / "a"
        try:
            folder.mkdir()
        except OSError:  # the path is as long as the system allows
            break
    picture = folder.parent / "x.jpg"
    picture.touch()
    try:
        assert [Path(file.path).name for file in find_media([str(tmp_path)])] == ["x.jpg"]
    finally:  # pytest itself can't remove folders that deep
        picture.unlink()
        folder = folder if folder.is_dir() else folder.parent
        while folder != tmp_path:
            folder.rmdir()
            folder = folder.parent


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other ways elsewhere")
def test_memory_does_not_grow_with_the_number_of_files(tmp_path, folder):
    peaks = {}
    for count in (100, 3000):
        links = tmp_path / f"{count}"
        links.mkdir()
        for i in range(count):
            os.link(folder / f"{i % 30:02}.jpg", links / f"{i:06}.jpg")
        arguments = [str(links), "--cropped", "--workers", "2", "--out", str(tmp_path / f"{count}.csv")]
        done = subprocess.run(
            [sys.executable, "-c", WITH_PEAKS, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=290
        )
        assert done.returncode == 0, done.stderr
        peaks[count] = [int(text) for text in done.stdout.split()]
        assert (tmp_path / f"{count}.csv").read_text().count("\n") == count + 1
    for few, many in zip(peaks[100], peaks[3000], strict=True):
        assert many < 1.1 * few, f"kilobytes of the first process, and of the largest worker: {peaks}"
