import csv
import errno
import os
from pathlib import Path

import cv2
import pytest

from inference import main
from pictures.decoding import decode_picture
from pictures.reading import VideoFrame, read_video
from scoring.annotated_copies import AnnotatedCopies
from scoring.output_folder import OutputFolder
from scoring.smile_copies import SmileCopies
from tests.odd_videos import with_times, write_video

pytestmark = pytest.mark.slow


@pytest.fixture
def copy_of(tmp_path):
    """The annotated copy of a video: what was read of it, its rate and how long it plays."""

    def make(path: Path) -> tuple[list[VideoFrame], float]:
        copies = AnnotatedCopies(str(tmp_path / "marked"), [str(path)])
        for frame in read_video(str(path)):
            copies.add_frame(str(path), frame, [])
        copies.end_video(whole=True)
        (copy,) = (tmp_path / "marked").iterdir()
        frames = list(read_video(str(copy)))
        copy.unlink()
        return frames, frames[-1].time_s + 1 / frames[-1].rate

    return make


@pytest.mark.parametrize(("rate", "count"), [(0.5, 3), (0.9, 4), (25, 10), (29.97, 10), (120, 30), (480, 60), (1000, 60)])
def test_copies_of_videos_of_any_rate_play_as_long(rate, count, copy_of, tmp_path):
    frames, seconds = copy_of(write_video(tmp_path / "a.mp4", count, rate=rate))
    assert seconds == pytest.approx(count / rate, abs=0.06)
    if rate >= 25:
        assert len(frames) == count, "each frame once"


def test_copies_of_videos_of_variable_rate_show_each_frame_in_its_time(copy_of, tmp_path):
    path = with_times(write_video(tmp_path / "a.mp4", 12), [2000] + [40] * 10 + [500])
    frames, seconds = copy_of(path)
    assert seconds == pytest.approx(2.9, abs=0.3)
    shown = {round(float(frame.image.mean()) / 20) for frame in frames if frame.time_s < 1.9}
    assert shown == {0}
    assert round(float(frames[-1].image.mean()) / 20) == 11


# --- names near the limit ---

LONG = "l" * 251  # and `.jpg`: 255 bytes, the most that a name may have


@pytest.fixture
def long_names(tmp_path, face_picture) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    data = face_picture.read_bytes()
    for name in (f"{LONG}.jpg", "é" * 125 + "e.jpg", "a.jpg"):
        (folder / name).write_bytes(data)
    (folder / ("p" * 251 + ".ppm")).write_bytes(cv2.imencode(".ppm", decode_picture(data))[1].tobytes())
    write_video(folder / f"{'v' * 251}.mkv", 10)
    return folder


def test_names_near_the_limit_are_annotated_plotted_and_copied(long_names, tmp_path, capsys):
    marked, plots, best = tmp_path / "marked", tmp_path / "plots", tmp_path / "best"
    options = ["--annotate", str(marked), "--plot", str(plots), "--copy-smiles", str(best), "--workers", "1"]
    for _ in range(2):  # and once more, over what is there
        assert main([str(long_names), "--out", str(tmp_path / "table.csv"), *options]) == 0
        said = capsys.readouterr().err
        assert "unreadable: 0" in said
        assert "photos with a smile in" in said
        assert len(list(marked.iterdir())) == 5
        assert len(list(plots.iterdir())) == 1
        assert len(list(best.iterdir())) == 4
    assert (marked / f"{LONG}.jpg").is_file(), "as it was"
    for file in [*marked.iterdir(), *plots.iterdir()]:
        assert file.suffix in (".jpg", ".png", ".mp4")
        assert len(os.fsencode(file.name)) <= 255


def test_shortened_names_differ_where_the_long_ones_do(tmp_path):
    (tmp_path / "photos").mkdir()
    folder = OutputFolder(str(tmp_path / "marked"), [str(tmp_path / "photos")], option="--annotate", holds="copies")
    files = [f"{tmp_path}/photos/{LONG}{end}.pgm" for end in "ab"]
    names = [folder.target(file, ".png").name for file in files]
    assert len({*names}) == 2
    assert all(len(name) <= 255 and name.endswith(".pgm.png") for name in names)


def test_a_copy_that_can_not_be_written_costs_one_row_and_a_true_sentence(tmp_path, face_picture, monkeypatch, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b:.jpg", "c.jpg"):
        (photos / name).write_bytes(face_picture.read_bytes())
    write_video(photos / "d:.avi", 5, codec="MJPG")
    replace = os.replace

    def as_on_a_memory_card(source, target):
        if ":" in os.path.basename(target):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        replace(source, target)

    monkeypatch.setattr(os, "replace", as_on_a_memory_card)
    options = ["--annotate", str(tmp_path / "marked"), "--copy-smiles", str(tmp_path / "best"), "--workers", "1"]
    assert main([str(photos), "--out", str(tmp_path / "table.csv"), *options]) == 0
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["error"]]
    assert [(Path(row["file"]).name, row["frame"]) for row in wrong] == [("b:.jpg", "0"), ("d:.avi", "5")]
    assert "Invalid argument" in wrong[0]["error"]
    assert "free some space" not in wrong[0]["error"]
    assert sum(row["file"].endswith("b:.jpg") and row["face"] == "1" for row in rows) == 1, "its face is in the table"
    assert sorted(file.name for file in (tmp_path / "marked").iterdir()) == ["a.jpg", "c.jpg"]
    assert sorted(file.name for file in (tmp_path / "best").iterdir()) == ["a.jpg", "c.jpg"]
    assert "1 could not be copied (b:.jpg: Invalid argument)" in capsys.readouterr().err


def test_a_full_disk_still_ends_the_run(tmp_path, face_picture, monkeypatch, capsys):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    options = ["--annotate", str(tmp_path / "marked"), "--workers", "1", "--out", str(tmp_path / "table.csv")]
    assert main([str(face_picture), *options]) == 2
    assert "free some space" in capsys.readouterr().err


def test_copies_of_the_same_long_name_keep_apart(tmp_path):
    for folder, data in (("a", b"1"), ("b", b"22")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{LONG}.jpg").write_bytes(data)
    copies = SmileCopies(str(tmp_path / "best"), [str(tmp_path / "a")])
    first = copies.add(str(tmp_path / "a" / f"{LONG}.jpg"))
    (tmp_path / "a" / f"{LONG}.jpg").write_bytes(b"333")
    second = copies.add(str(tmp_path / "a" / f"{LONG}.jpg"))
    assert first != second
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"333")
