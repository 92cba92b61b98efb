"""`python inference.py`: the rows that photos, folders, videos and crops give."""

import csv
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.face import Box, Face
from common.settings import DEFAULT_DETECTOR
from faces.detectors import create_detector
from faces.photo import analyze_photo
from inference import Scorer, main
from pictures.finding import MediaFile
from scoring.rows import COLUMNS, empty_row, face_row
from smile_recognition import SmileRecognizer
from tests.scored import box, score, write_short_video

pytestmark = pytest.mark.slow

FIELDS = [
    *("file", "frame", "time_s", "face", "track", "top", "right", "bottom", "left", "smile", "label"),
    *("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y"),
    *("mouth_left_x", "mouth_left_y", "mouth_right_x", "mouth_right_y"),
]


@pytest.fixture(scope="module")
def short_video(tmp_path_factory, astronaut) -> Path:
    return write_short_video(tmp_path_factory.mktemp("short") / "short.avi", astronaut)


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
