"""The benchmark's own arithmetic, and one short run of every stage. No figure is held to anything here: machines differ."""

import math
import subprocess
import sys
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

from benchmarks import bench, soak
from benchmarks.actors import scenes
from benchmarks.actors.running_app import AppProcess, parse_histogram, quantile, since
from benchmarks.actors.viewers import Audience, Viewer
from benchmarks.reporting import document
from benchmarks.reporting.figures import Curve, Report, load
from benchmarks.stages import correctness
from common.errors import BenchmarkError
from tests.project import ROOT, SHARED
from tests.waiting import eventually

pytestmark = [pytest.mark.slow(90), pytest.mark.timeout(1200)]

EXPECTED = {
    "one-face": {"one_face_median", "one_face_p95", "flat_out_median", "network_median", "draw_median", "encode_median"},
    "seed": {
        "seed_median",
        "seed_p95",
        "seed_start",
        "seed_memory",
        "seed_ratio_flat_out_median",
        "seed_ratio_one_face_median",
    },
    "growth": {"faces_1_median", "faces_8_median", "faces_8_p95", "size_480_median", "size_1080_median"},
    "app": {"listening", "first_face", "memory", "cpu", "idle_cpu"},
    "viewers": {"viewers_one_p95", "viewers_many_p99", "viewers_many_fps", "viewers_many_cpu"},
    "slow-viewer": {"slow_lag", "slow_small_lag", "slow_lost"},
    "offline": {"offline"},
    "correctness": {"change_right", "change_flips", "tilt_ids", "tilt_right"},
}


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """One short run of every stage in a process of its own, as CI would run it: what it printed, and its figures."""
    folder = tmp_path_factory.mktemp("bench")
    options = ["--short", "--source", short_video(folder / "face.avi"), "--json", folder / "figures.json"]
    command = [sys.executable, "-m", "benchmarks.bench", *map(str, options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, folder / "figures.json"


def short_video(path):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, scenes.SIZE)
    for picture in scenes.moving_astronaut(30):
        writer.write(picture)
    writer.release()
    return path


def test_every_measure_has_a_row_with_a_finite_figure(short_run):
    done, path = short_run
    report, _, _ = load(path)
    assert list(report.figures) == list(bench.STAGES)
    for stage, keys in EXPECTED.items():
        assert bench.STAGES[stage].title in done.stdout
        figures = {figure.key: figure for figure in report.figures[stage]}
        assert figures.keys() >= keys
        for key, figure in figures.items():
            assert figure.name in done.stdout
            if key.startswith("change_") and not SHARED.is_dir():
                assert figure.value is None
                assert "needs" in figure.note
            else:
                assert figure.value is not None, f"{key}: {figure.note}"
                assert math.isfinite(figure.value)
                assert figure.value >= 0
    assert report.value("one_face_p95") >= report.value("one_face_median") > 0
    ratio = report.value("seed_median") / report.value("one_face_median")
    assert report.value("seed_ratio_one_face_median") == pytest.approx(ratio)
    assert report.value("tilt_ids") == 1
    assert "not reached" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_document_is_made_from_the_figures(short_run, tmp_path):
    report, _, conditions = load(short_run[1])
    document.save(tmp_path, report, document.FIGURES, command="python -m benchmarks.bench", conditions=conditions)
    again, command, same = load(tmp_path / "benchmarks" / document.FIGURES)
    assert (again.figures, command, same) == (report.figures, "python -m benchmarks.bench", conditions)
    soaked = Report()
    soaked.begin("soak", "A soak")
    soaked.add("soak_growth", "growth", 1.5, "MB", bar=5.0)
    soaked.add_curve(Curve("soak", "Memory", "minutes", "MB", [0, 1, 2], {"memory": [200, 201, 201]}))
    document.save(tmp_path, soaked, document.SOAK, command="python -m benchmarks.soak", conditions=conditions)
    page = document.write(tmp_path).read_text()
    assert page.startswith("# ")
    for figures in [*report.figures.values(), *soaked.figures.values()]:
        for figure in figures:
            assert "| " + " | ".join(figure.texts) + " |" in page
    assert "| growth | 1.5 MB | at most 5 MB | yes |" in page
    for name in ("faces", "pixels", "viewers", "soak"):
        assert f"(benchmarks/{name}.png)" in page
        assert cv2.imread(str(tmp_path / "benchmarks" / f"{name}.png")) is not None


def test_without_figures_there_is_no_document(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / document.FIGURES).write_text('{"stages": {}}')
    with pytest.raises(BenchmarkError, match="--write-docs"):
        document.write(tmp_path)


@pytest.mark.parametrize(
    "options", [["--write-docs", "--short"], ["--write-docs", "--only", "seed"], ["--source", "no.mp4"]]
)
def test_what_can_not_be_measured_is_said_in_one_sentence(options, capsys):
    assert bench.main(options) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_video_without_a_face_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.stages.analysis._FOUND_WITHIN_S", 1.0)
    path = tmp_path / "empty.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, scenes.SIZE)
    for _ in range(5):
        writer.write(np.full((480, 640, 3), 90, np.uint8))
    writer.release()
    assert bench.main(["--short", "--only", "one-face", "--source", str(path)]) == 2
    assert "choose another --source" in capsys.readouterr().err


def test_what_is_to_be_reached():
    report = Report()
    report.begin("one-face", "")
    report.add("a", "fast enough", 2.0, "ms", bar=3.0)
    report.add("b", "too slow", 4.0, "ms", bar=3.0)
    report.add("c", "too few", 150, "fps", bar=200, at_least=True)
    report.add("d", "nothing to reach", 1.0)
    report.add("e", "not measured", None, "ms", bar=3.0, note="no camera")
    assert [figure.reached for figure in report.figures["one-face"]] == [True, False, False, None, False]
    assert [figure.key for figure in report.missed()] == ["b", "c", "e"]
    assert report.figures["one-face"][4].texts == ("not measured (no camera)", "-", "at most 3 ms", "no")


def test_quantiles_are_read_off_a_histogram_between_its_bounds():
    text = """# TYPE smile_frame_to_viewer_seconds histogram
smile_frame_to_viewer_seconds_bucket{le="0.005"} 10.0
smile_frame_to_viewer_seconds_bucket{le="0.01"} 90.0
smile_frame_to_viewer_seconds_bucket{le="0.02"} 98.0
smile_frame_to_viewer_seconds_bucket{le="+Inf"} 100.0
smile_other_seconds_bucket{le="0.005"} 7.0
smile_frame_to_viewer_seconds_count 100.0
"""
    buckets = parse_histogram(text)
    assert buckets == {0.005: 10, 0.01: 90, 0.02: 98, math.inf: 100}
    assert quantile(buckets, 0.5) == pytest.approx(0.0075)
    assert quantile(buckets, 0.94) == pytest.approx(0.015)
    assert quantile(buckets, 0.99) == 0.02, "beyond the last bound it is that bound"
    assert quantile(since(buckets, buckets), 0.5) is None
    assert quantile({}, 0.5) is None
    labelled = 'smile_frame_to_viewer_seconds_bucket{kind="a",le="1.0"} 1\n' * 2
    assert parse_histogram(labelled) == {1.0: 2}


def test_frames_carry_their_number_through_jpeg(tmp_path):
    path = tmp_path / "numbered.avi"
    count = scenes.write_numbered_video(path, None, frames=200)
    frames = scenes.read_frames(path, 1000)
    assert len(frames) == count
    for i in (0, 1, 77, count - 1):
        assert scenes.read_number(cv2.imencode(".jpg", frames[i])[1].tobytes()) == i
    seam = np.abs(frames[0][:450].astype(int) - frames[-1][:450]).mean()
    assert seam < 3, "it can be repeated without a jump"


def test_labels_are_judged_apart_from_changes():
    times = [i / 30 for i in range(90)]
    truth = ["smile" if 0.6 <= at < 2.33 else "no_smile" for at in times]
    assert correctness.judge(times, truth) == (1.0, 0)
    late = ["smile" if 0.8 <= at < 2.5 else "no_smile" for at in times]
    assert correctness.judge(times, late) == (1.0, 0), "a fifth of a second late is no mistake"
    flicker = list(truth)
    flicker[40] = "no_smile"
    right, flips = correctness.judge(times, flicker)
    assert right < 1
    assert flips == 2
    assert correctness.judge(times, ["smile"] * 90)[0] < 0.8, "who never changes is wrong for long"
    unsteady = list(truth)
    unsteady[18:21] = ["smile", "no_smile", "smile"]
    assert correctness.judge(times, unsteady) == (1.0, 2), "a flicker right at the change counts as false too"


def test_without_the_video_beside_the_project_only_its_rows_are_empty(tmp_path):
    report = Report()
    report.begin("correctness", "")
    correctness.measure(report, tmp_path / "none.mp4")
    assert report.value("change_right") is None
    assert {figure.key for figure in report.missed()} == {"change_right", "change_flips"}
    assert report.value("tilt_right") == 100


def test_growth_is_the_difference_of_medians_late_and_early():
    seen = soak.Soak(minutes=[i / 60 for i in range(1200)], memory_mb=[200 + i / 100 for i in range(1200)])
    assert seen.growth_mb() == pytest.approx(10.5, abs=0.7)  # 0.6 MB a minute from minute 2.5 to 19.5
    assert soak.Soak(minutes=[0.1, 0.2, 0.3, 0.4], memory_mb=[1, 5, 5, 5]).growth_mb() == 0


def test_an_audience_reads_pictures_at_the_pace_of_each_viewer(face_video):
    with AppProcess(face_video) as app, Audience(app.port) as audience:
        app.wait_for_face()
        fast, counted = audience.join(keep=True), audience.join()
        started = time.monotonic()
        slow = audience.join(bytes_per_second=60_000, keep=True, receive_buffer=8192)

        def seen() -> bool:
            audience.watch(0.5)
            return len(slow.arrivals) > 2 and len(fast.arrivals) > 2 * len(slow.arrivals)

        eventually(seen)
        assert slow.received < 60_000 * (time.monotonic() - started) + 2 * 4096
        assert counted.pictures > len(slow.arrivals), "one whose pictures are only counted"
        numbers = [scenes.read_number(jpeg) for _, jpeg in fast.arrivals]
        assert all((later - earlier) % 400 < 200 for earlier, later in pairwise(numbers)), "in order, from its 400 frames"
        audience.leave(fast)
        assert [type(viewer) for viewer in audience.viewers] == [Viewer] * 2
        assert app.sockets() >= 2
        assert app.latencies(), "the app says how late its pictures are"


def test_a_short_soak_leaves_nothing(face_video):
    report = Report()
    report.begin("soak", "A short soak")
    soak.measure(report, face_video, minutes=0.1, seed=1)
    assert report.value("soak_viewers") > 2
    assert report.value("soak_pictures") > 10
    assert report.value("soak_threads") == 0
    assert report.value("soak_sockets") == 0
    assert report.value("soak_ended") == 0
    assert math.isfinite(report.value("soak_growth"))
