import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import inference
from common.face import Box, Face
from common.settings import DEFAULT_DETECTOR
from faces.detectors import create_detector
from faces.photo import analyze_photo
from inference import Scorer, main
from pictures.finding import MediaFile
from scoring.rows import COLUMNS, empty_row, face_row
from smile_recognition import SmileRecognizer
from tests.conftest import ROOT, clean_environment
from tests.waiting import eventually

pytestmark = pytest.mark.slow(45)

FIELDS = [
    *("file", "frame", "time_s", "face", "track", "top", "right", "bottom", "left", "smile", "label"),
    *("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y"),
    *("mouth_left_x", "mouth_left_y", "mouth_right_x", "mouth_right_y"),
]


def score(tmp_path: Path, *arguments, code: int = 0) -> list[dict[str, str]]:
    """The table of `python inference.py arguments`, which must end with this exit code."""
    table = tmp_path / "table.csv"
    assert main([*map(str, arguments), "--out", str(table)]) == code
    assert not table.with_name("table.csv.part").exists()
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def box(row: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(row[name]) for name in ("top", "right", "bottom", "left"))


@pytest.fixture(scope="module")
def short_video(tmp_path_factory, astronaut) -> Path:
    """75 frames, 25 a second, 480x360: one second with a moving face, then a grey wall."""
    path = tmp_path_factory.mktemp("short") / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (480, 360))
    for i in range(75):
        writer.write(astronaut[:360, i % 25 : i % 25 + 480] if i < 25 else np.full((360, 480, 3), 128, np.uint8))
    writer.release()
    return path


def test_the_columns_are_the_promised_ones_in_their_order(tmp_path, face_picture):
    score(tmp_path, face_picture)
    header = (tmp_path / "table.csv").read_text().splitlines()[0]
    assert header.split(",") == [*FIELDS, "raw_smile", "error"] == list(COLUMNS)


def test_a_photo_gives_one_row_for_each_face(tmp_path, astronaut):
    two = np.full((420, 900, 3), 127, np.uint8)
    two[:400, :400] = astronaut[:400, :400]
    two[100:400, 500:800] = cv2.resize(astronaut[:400, :400], (300, 300), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "two.png"), two)
    rows = score(tmp_path, tmp_path / "two.png")
    assert [(row["file"], row["frame"], row["time_s"], row["face"], row["track"], row["error"]) for row in rows] == [
        (str(tmp_path / "two.png"), "0", "", "1", "", ""),
        (str(tmp_path / "two.png"), "0", "", "2", "", ""),
    ]
    large, small = (Box(*box(row)) for row in rows)
    assert large.iou(Box(77, 266, 166, 176)) > 0.7
    assert small.iou(Box(158, 700, 225, 632)) > 0.6
    faces = analyze_photo(two, create_detector(DEFAULT_DETECTOR), SmileRecognizer())
    for row, face in zip(rows, faces, strict=True):
        assert box(row) == face.box
        assert float(row["smile"]) == pytest.approx(face.smile, abs=1e-6)
        assert row["raw_smile"] == row["smile"], "a photo has nothing to be smoothed over"
        assert row["label"] == ("smile" if float(row["smile"]) >= 0.5 else "no_smile")
        written = [float(row[name]) for name in FIELDS[11:]]
        assert written == pytest.approx([value for point in face.landmarks for value in point], abs=0.006), "x then y"


def test_a_photo_without_a_face_gives_one_row_with_face_empty(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.jpg"), np.full((200, 300, 3), 90, np.uint8))
    (row,) = score(tmp_path, tmp_path / "wall.jpg")
    assert (row["file"], row["frame"]) == (str(tmp_path / "wall.jpg"), "0")
    assert not any(row[name] for name in COLUMNS[2:])


def test_a_folder_is_scored_in_name_order_and_broken_files_become_rows(tmp_path, astronaut, face_picture, capsys):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    jpeg = face_picture.read_bytes()
    (photos / "a empty.jpg").touch()
    (photos / "b text.jpg").write_text("I am no picture")
    (photos / "c half.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (photos / 'd wörld, "so".jpg').write_bytes(jpeg)
    (photos / "e.mp4").write_bytes(b"no video either")
    (photos / "readme.txt").write_text("not to be read")
    cv2.imwrite(str(photos / "sub" / "f.png"), astronaut[:400])
    rows = score(tmp_path, photos)
    assert [row["file"].removeprefix(f"{photos}/") for row in rows] == [
        *("a empty.jpg", "b text.jpg", "c half.jpg", 'd wörld, "so".jpg', "e.mp4", "sub/f.png")
    ]
    assert [bool(row["error"]) for row in rows] == [True, True, True, False, True, False]
    assert [row["face"] for row in rows] == ["", "", "", "1", "", "1"]
    assert all(row["error"].endswith(".") and row["error"].count(".") == 1 for row in rows if row["error"])
    summary = capsys.readouterr().err.splitlines()[-1]
    assert summary.startswith("files: 6, faces: 2, smiles: 2, unreadable: 4, seconds: ")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_file_name_that_is_no_text_leaves_the_table_text(tmp_path, face_picture):
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(face_picture, tmp_path / name)
    for table in ("table.csv", "table.jsonl"):
        assert main([str(tmp_path), "--out", str(tmp_path / table)]) == 0
    assert b"/caf\\xe9.jpg,0,," in (tmp_path / "table.csv").read_bytes()
    assert json.loads((tmp_path / "table.jsonl").read_text())["file"] == f"{tmp_path}/caf\\xe9.jpg"


def test_an_odd_failure_costs_one_row_only(tmp_path, face_picture):
    class Failing:
        name = "failing"

        def load(self) -> None: ...

        def detect(self, image, *, min_face=40):
            raise cv2.error("out of order")

    scorer = Scorer(SmileRecognizer(), Failing())
    (row,) = scorer.rows(MediaFile(str(face_picture)))
    assert row["error"] == "The file could not be analysed (error)."


def test_a_video_gives_a_row_for_each_face_and_frame(tmp_path, short_video):
    rows = score(tmp_path, short_video)
    assert [int(row["frame"]) for row in rows] == list(range(75)), "one face at most, every frame, the first one too"
    assert [float(row["time_s"]) for row in rows] == pytest.approx([i / 25 for i in range(75)], abs=0.001)
    assert {(row["face"], row["track"]) for row in rows[:25]} == {("1", "1")}
    assert all(np.isfinite(float(row[name])) for row in rows[:25] for name in ("smile", "raw_smile", *FIELDS[11:]))
    for i in (5, 20):
        assert Box(*box(rows[i])).iou(Box(77, 266 - i, 166, 176 - i)) > 0.6, "the box follows"
    assert {(row["face"], row["track"], row["smile"]) for row in rows[-25:]} == {("", "", "")}


def test_in_a_video_the_smile_is_smoothed_and_the_raw_one_is_of_its_frame(tmp_path, shared_videos):
    rows = [row for row in score(tmp_path, shared_videos / "neutral_smile_neutral.mp4") if row["face"]]
    smooth, raw = (np.array([float(row[name]) for row in rows]) for name in ("smile", "raw_smile"))
    assert rows[0]["smile"] == rows[0]["raw_smile"]
    assert np.abs(np.diff(smooth)).max() < np.abs(np.diff(raw)).max()
    assert {row["label"] for row in rows} == {"smile", "no_smile"}
    assert [row["label"] == "smile" for row in rows] == [float(row["smile"]) >= 0.5 for row in rows]


def test_a_video_gives_the_same_table_however_fast_the_computer_is(tmp_path, short_video):
    detector = create_detector(DEFAULT_DETECTOR)

    class Slow:
        name = "slow"

        def load(self) -> None: ...

        def detect(self, image, *, min_face=40):
            time.sleep(0.02)
            return detector.detect(image, min_face=min_face)

    quick, slow = (
        list(Scorer(SmileRecognizer(), d).rows(MediaFile(str(short_video), is_video=True))) for d in (detector, Slow())
    )
    assert quick == slow


def test_the_end_of_a_broken_video_is_an_error_row(tmp_path, face_video):
    data = face_video.read_bytes()
    (tmp_path / "half.avi").write_bytes(data[: len(data) // 8])
    rows = score(tmp_path, tmp_path / "half.avi", code=1)
    assert len(rows) > 10
    assert all(row["face"] == "1" and not row["error"] for row in rows[:-1])
    assert (rows[-1]["face"], int(rows[-1]["frame"])) == ("", len(rows) - 1)
    assert "breaks off" in rows[-1]["error"]


def test_real_videos_are_scored(tmp_path, shared_videos):
    rows = score(tmp_path, shared_videos / "face_then_none.mov")
    faces = [bool(row["face"]) for row in rows]
    assert faces[0]
    assert not any(faces[-25:])
    times = [float(row["time_s"]) for row in rows]
    assert times == sorted(set(times)), "its frames are not evenly spaced"


def test_crops_are_read_whole(tmp_path, astronaut):
    crop = astronaut[70:175, 170:275]
    cv2.imwrite(str(tmp_path / "crop.png"), crop)
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((9, 7), 50, np.uint8))
    face, wall = score(tmp_path, tmp_path / "crop.png", tmp_path / "wall.png", "--cropped")
    gray = cv2.imread(str(tmp_path / "crop.png"), cv2.IMREAD_GRAYSCALE)
    assert box(face) == (0, 105, 105, 0)
    assert float(face["smile"]) == pytest.approx(
        float(SmileRecognizer().predict_smile(gray, [(0, 105, 105, 0)])[0]), abs=1e-6
    )
    assert (box(wall), wall["face"], wall["track"]) == ((0, 7, 9, 0), "1", "")


def test_each_frame_of_a_video_of_crops_is_one_face(tmp_path, short_video):
    rows = score(tmp_path, short_video, "--cropped")
    assert [(row["frame"], row["face"], box(row)) for row in rows] == [(str(i), "1", (0, 480, 360, 0)) for i in range(75)]
    assert all(row["raw_smile"] == row["smile"] for row in rows)


def test_json_lines_hold_the_same_values(tmp_path, face_picture, short_video):
    (tmp_path / "bad.jpg").touch()
    paths = [str(path) for path in (face_picture, tmp_path / "bad.jpg", short_video)]
    rows = score(tmp_path, *paths, code=1)  # one that was named can't be read
    assert main([*paths, "--out", str(tmp_path / "table.jsonl")]) == 1
    lines = [json.loads(line) for line in (tmp_path / "table.jsonl").read_text().splitlines()]
    assert [tuple(line) for line in lines] == [COLUMNS] * len(rows)
    for line, row in zip(lines, rows, strict=True):
        for name in COLUMNS:
            if line[name] is None or isinstance(line[name], str):
                assert row[name] == (line[name] or "")
            else:
                assert float(row[name]) == pytest.approx(line[name])
    assert type(lines[0]["top"]) is int
    assert lines[0]["time_s"] is None


def test_without_out_the_table_alone_goes_to_standard_output(face_picture, capsys):
    assert main([str(face_picture)]) == 0
    out, err = capsys.readouterr()
    (row,) = csv.DictReader(out.splitlines())
    assert row["face"] == "1"
    assert "files: 1, faces: 1" in err


def test_label_and_number_never_contradict_each_other():
    for smile, written, label in ((0.4999998, 0.5, "smile"), (0.4999994, 0.499999, "no_smile"), (3e-6, 3e-6, "no_smile")):
        row = face_row("a", 0, None, 1, Face(1, Box(0, 9, 9, 0), smile, smile), tracked=False)
        assert (row["smile"], row["label"]) == (written, label)


def test_what_is_no_number_is_an_empty_cell():
    row = face_row("a", 0, None, 1, Face(1, Box(0, 9, 9, 0), math.nan, math.nan, ((math.inf, 1.0),) * 5), tracked=False)
    assert (row["smile"], row["raw_smile"], row["nose_x"], row["nose_y"]) == (None, None, None, 1.0)
    assert set(empty_row("a", 0, None)) == set(COLUMNS)


def test_annotated_copies_keep_their_relative_names_and_the_originals(tmp_path, face_picture, short_video):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    before = face_picture.read_bytes()
    for name in ("a.jpg", "sub/a.jpg", "sub/b.pgm"):
        (photos / name).write_bytes(before)
    shutil.copy(short_video, photos / "v.avi")
    score(tmp_path, photos, "--annotate", tmp_path / "plain")
    score(tmp_path, photos, "--annotate", tmp_path / "marked", "--landmarks")
    names = sorted(str(path.relative_to(tmp_path / "plain")) for path in (tmp_path / "plain").rglob("*.*"))
    assert names == ["a.jpg", "sub/a.jpg", "sub/b.pgm.png", "v.avi.mp4"]
    assert (photos / "a.jpg").read_bytes() == before
    original, plain, marked = (
        cv2.imread(str(folder / "sub/a.jpg")).astype(int) for folder in (photos, tmp_path / "plain", tmp_path / "marked")
    )
    assert original.shape == plain.shape
    inside = (slice(90, 155), slice(190, 255))
    assert np.abs(plain - original).max() > 100, "a box is drawn"
    assert np.abs(plain[inside] - original[inside]).max() < 60, "and nothing on the face"
    assert np.abs(marked[inside] - original[inside]).max() > 100, "unless landmarks are wanted"
    capture = cv2.VideoCapture(str(tmp_path / "plain/v.avi.mp4"))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (75, 25)
    capture.release()


def test_copies_of_several_folders_keep_apart(tmp_path, face_picture):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(face_picture, tmp_path / name / "x.jpg")
    score(tmp_path, tmp_path / "a", tmp_path / "b" / "x.jpg", "--annotate", tmp_path / "marked")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("marked/*/*")) == [
        "marked/a/x.jpg",
        "marked/b/x.jpg",
    ]


def test_each_video_gets_a_plot_under_its_relative_name(tmp_path, face_picture, short_video):
    media = tmp_path / "media"
    (media / "sub").mkdir(parents=True)
    shutil.copy(face_picture, media / "a.jpg")
    (media / "broken.mp4").write_bytes(b"no video")
    for name in ("v.avi", "sub/v.avi"):
        shutil.copy(short_video, media / name)
    plain = score(tmp_path, media)
    assert score(tmp_path, media, "--plot", tmp_path / "plots") == plain, "the table is the same"
    names = sorted(str(path.relative_to(tmp_path / "plots")) for path in (tmp_path / "plots").rglob("*.*"))
    assert names == ["sub/v.avi.png", "v.avi.png"]
    plot = cv2.imread(str(tmp_path / "plots/v.avi.png"))
    assert plot.shape[1] == 1080
    assert (plot[0, 0] == 255).all()


def test_plots_and_annotated_copies_can_share_a_folder_with_crops_too(tmp_path, short_video):
    both = tmp_path / "both"
    score(tmp_path, short_video, "--cropped", "--plot", both, "--annotate", both)
    assert sorted(path.name for path in both.iterdir()) == ["short.avi.mp4", "short.avi.png"]


def test_a_plot_that_can_not_be_written_gets_one_sentence_and_keeps_the_rows(tmp_path, short_video, capsys):
    plots = tmp_path / "plots"
    (plots / "short.avi.png").mkdir(parents=True)
    assert main([str(short_video), "--out", str(tmp_path / "table.csv"), "--plot", str(plots)]) == 2
    err = capsys.readouterr().err
    assert "short.avi.png can't be written" in err
    assert "choose another --plot. The rows so far are in" in err
    assert [path.name for path in plots.iterdir()] == ["short.avi.png"]
    assert len((tmp_path / "table.csv.part").read_text().splitlines()) == 76


def test_without_matplotlib_a_plot_is_refused_before_any_work_and_all_else_goes_on(tmp_path, short_video, face_picture):
    # A `matplotlib` that can't be imported, in front of the real one.
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not installed')")
    command = [sys.executable, "-c", "import sys, inference; sys.exit(inference.main(sys.argv[1:]))"]
    environment = clean_environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60, "env": environment}
    refused = subprocess.run([*command, str(short_video), "--plot", str(tmp_path / "plots")], **options)
    assert refused.returncode == 2
    assert "pip install -r requirements/plot.txt" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not refused.stdout
    assert not (tmp_path / "plots").exists()
    assert (ROOT / "requirements/plot.txt").read_text().splitlines()[-1].startswith("matplotlib==")
    assert subprocess.run([*command, str(face_picture)], **options).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.jpg"], "There is no file or folder missing.jpg"),
        (["empty"], "There is no picture or video in empty"),
        (["a.jpg", "empty"], "There is no picture or video in empty"),
        (["a.jpg", "--out", "a.jpg"], "is the name of a picture"),
        (["plain", "--out", "plain"], "would overwrite a file that is to be read"),
        (["a.jpg", "--out", "empty"], "is a folder"),
        (["a.jpg", "--out", "nowhere/table.csv"], "There is no folder nowhere"),
        (["a.jpg", "--out", "a.jpg/table.csv"], "There is no folder a.jpg"),
        (["a.jpg", "--detector", "crystal-ball"], "choose one of: finder, face_recognition, haar, yunet"),
        (["a.jpg", "--detector", "yunet"], "--detector-model"),
        (["a.jpg", "--model", "nothing.tflite"], "There is no network at nothing.tflite"),
        (["a.jpg", "--landmarks"], "give --annotate DIR too"),
        (["a.jpg", "--annotate", "."], "would end up among the files that are read"),
        (["photos", "--annotate", "photos/marked"], "would end up among the files that are read"),
        (["photos", "--annotate", "photos"], "would end up among the files that are read"),
        (["a.jpg", "--annotate", "plain"], "can't be made"),
        (["a.jpg", "photos", "--plot", "plots"], "none of the files is a video"),
        (["v.avi", "--plot", "."], "The plots in . would end up among the files that are read from v.avi"),
        (["v.avi", "--plot", "plain"], "choose another --plot"),
    ],
)
def test_what_can_not_be_done_gets_one_sentence_and_code_2(arguments, sentence, tmp_path, face_picture, monkeypatch, capsys):
    (tmp_path / "v.avi").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "photos"):
        (tmp_path / name).mkdir()
    for name in ("a.jpg", "plain", "photos/b.jpg"):
        shutil.copy(face_picture, tmp_path / name)
    assert main(["--out", "table.csv", *arguments]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    for name in ("a.jpg", "plain", "photos/b.jpg"):
        assert (tmp_path / name).read_bytes() == face_picture.read_bytes()
    assert not list(tmp_path.glob("**/*table*")), "nothing half-done is left"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_gets_one_sentence(face_picture):
    for to in (["--out", "/dev/full"], []):
        with open("/dev/full", "w") as full:
            done = run([str(face_picture), *to], stdout=full)
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr
    assert not os.path.exists("/dev/full.part")


def test_a_reader_that_leaves_early_is_no_error(face_picture):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = run([str(face_picture)], stdout=gone)
    assert (done.returncode, "Error" in done.stderr) == (0, False)


def run(arguments: list[str], **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "inference.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=120, env=clean_environment(), **options
    )


def test_ctrl_c_keeps_the_rows_so_far_and_the_old_table(tmp_path, face_picture):
    photos, table, part = tmp_path / "photos", tmp_path / "table.csv", tmp_path / "table.csv.part"
    photos.mkdir()
    for i in range(3000):
        os.link(face_picture, photos / f"{i:04}.jpg")
    table.write_text("an older table\n")
    process = subprocess.Popen(
        [sys.executable, "inference.py", str(photos), "--out", str(table)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a job in the background ignores it
    )
    eventually(lambda: part.is_file() and part.read_text().count("\n") > 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"Stopped. The rows so far are in {part}. Run the same command again to go on." in err
    assert "Traceback" not in err
    assert table.read_text() == "an older table\n"
    rows = list(csv.DictReader(part.read_text().splitlines()))
    assert 3 <= len(rows) < 3000
    assert {row["face"] for row in rows} == {"1"}


def test_neither_tensorflow_nor_flask_nor_matplotlib_is_loaded(face_picture):
    check = f"""if True:
        import inference, sys
        inference.main([{str(face_picture)!r}])
        print({{"tensorflow", "flask", "matplotlib"}} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_help_names_every_column():
    assert inference.__doc__ is not None
    for name in (
        "file",
        "frame, time_s",
        "face",
        "track",
        "top, right, bottom, left",
        "smile, label",
        "left_eye_x",
        "raw_smile",
        "error",
    ):
        assert name in inference.__doc__
