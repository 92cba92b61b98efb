import csv
import os

import cv2
import numpy as np
import pytest

from inference import main
from pictures.finding import PHOTO_SUFFIXES, VIDEO_SUFFIXES, find_media
from tests.odd_videos import write_video

pytestmark = pytest.mark.slow

JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 100, np.uint8))[1].tobytes()


PNG = cv2.imencode(".png", np.full((48, 64, 3), 100, np.uint8))[1].tobytes()


def rows(folder, capsys) -> tuple[dict[str, dict[str, str]], str]:
    assert main([str(folder), "--out", str(folder / "table.csv"), "--workers", "1"]) == 0
    with (folder / "table.csv").open() as file:
        found = {row["file"].removeprefix(f"{folder}/"): row for row in csv.DictReader(file)}
    return found, capsys.readouterr().err.splitlines()[-1]


def test_videos_of_every_suffix_in_a_folder_are_scored(tmp_path, capsys):
    whole = write_video(tmp_path / "a.ts", 10, codec="MPG2").read_bytes()
    for suffix in (".3g2", ".vob", ".asf", ".divx", ".m2t", ".mxf", ".M2V"):
        (tmp_path / f"a{suffix}").write_bytes(whole)
    (tmp_path / "code.ts").write_text("export const answer: number = 42;\n" * 20)
    (tmp_path / "empty.ts").touch()
    found, last = rows(tmp_path, capsys)
    assert sorted(found) == sorted(f"a{s}" for s in (".ts", ".3g2", ".vob", ".asf", ".divx", ".m2t", ".mxf", ".M2V"))
    assert not any(row["error"] for row in found.values())
    assert last.endswith(", left out: 2 (.ts)")


@pytest.mark.parametrize(
    ("suffix", "sentence"),
    [
        (".dng", "Camera raw pictures can't be read; convert this one to JPEG."),
        (".CR2", "Camera raw pictures can't be read; convert this one to JPEG."),
        (".tga", "TGA pictures can't be read; convert this one to JPEG or PNG."),
        (".jxl", "JPEG XL pictures can't be read; convert this one to JPEG or PNG."),
        (".psd", "Photoshop files can't be read; convert this one to JPEG or PNG."),
        (".hif", "HEIC pictures can't be read; convert this one to JPEG."),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_what_is_plainly_a_picture_and_can_not_be_read_has_a_row_that_says_so(suffix, sentence, named, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(64) if suffix == ".hif" else b"II*\0" + bytes(200))
    out = tmp_path / "out" / "table.csv"
    out.parent.mkdir()
    folder = tmp_path / "photos"
    folder.mkdir()
    path = path.rename(folder / path.name)
    assert main([str(path if named else folder), "--out", str(out), "--workers", "1"]) == int(named)
    with out.open() as file:
        assert [row["error"] for row in csv.DictReader(file)] == [sentence]


def test_a_picture_of_a_stereo_camera_is_read(tmp_path):
    (tmp_path / "a.mpo").write_bytes(JPEG + JPEG)
    assert [file.path for file in find_media([str(tmp_path)])] == [str(tmp_path / "a.mpo")]


def test_the_last_line_counts_what_was_left_out_but_not_our_own_files(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / ".hidden.txt").touch()
    _, last = rows(tmp_path, capsys)
    assert "left out" not in last
    for name in ("notes.txt", "more.TXT", "plan.pdf", "README"):
        (tmp_path / name).touch()
    _, last = rows(tmp_path, capsys)
    assert last.startswith("files: 1, ")
    assert last.endswith(", left out: 4 (.txt, .pdf, no suffix)")


def test_a_picture_without_a_suffix_is_known_by_its_content_inside_folders_too(tmp_path, capsys):
    odd = (("jpg", JPEG), ("png", PNG), ("heic", b"\0\0\0\x18ftypheic" + bytes(64)))
    for name, data in odd:
        (tmp_path / name).write_bytes(data)
    for name, data in (
        ("text", b"BMW and PNG, II* and so on" * 9),
        ("empty", b""),
        ("film", b"\0\0\0\x18ftypisom" + bytes(64)),
    ):
        (tmp_path / name).write_bytes(data)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        os.mkfifo(tmp_path / "pipe.ts")
    found, last = rows(tmp_path, capsys)
    assert {name: bool(row["error"]) for name, row in found.items()} == {"jpg": False, "png": False, "heic": True}
    left = 3 + 2 * hasattr(os, "mkfifo")
    assert f", left out: {left} (no suffix" in last


def test_no_suffix_is_of_both_kinds():
    assert not PHOTO_SUFFIXES & VIDEO_SUFFIXES
