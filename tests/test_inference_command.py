"""`python inference.py` on bad arguments, full disks, readers that leave and Ctrl-C; and its help."""

import csv
import os
import shutil
import signal
import subprocess
import sys

import pytest

import inference
from inference import main
from tests.project import ROOT, clean_environment
from tests.waiting import eventually

pytestmark = pytest.mark.slow


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
        [sys.executable, "inference.py", str(photos), "--out", str(table), "--workers", "2"],
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
