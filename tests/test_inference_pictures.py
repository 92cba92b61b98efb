"""Annotated copies and plots of what `python inference.py` has scored."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference import main
from tests.project import ROOT, clean_environment
from tests.scored import score, write_short_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def short_video(tmp_path_factory, astronaut) -> Path:
    return write_short_video(tmp_path_factory.mktemp("short") / "short.avi", astronaut)


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
