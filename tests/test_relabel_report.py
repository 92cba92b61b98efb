"""What the relabelling command reports, compares, and says of what it can't do."""

import json
import signal
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.project import ROOT
from tests.relabelling import decisions_of, run, save_home, training_faces
from tests.sentences import assert_one_sentence
from training.data.faces import Faces
from training.labels.decisions import AUTOMATIC, count_decisions, digest_of, read_decisions

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path) -> Path:
    return save_home(tmp_path)


# --- the report ---


def test_the_report_counts_what_changes_and_who_decided(home, capsys):
    near_copy = ("yours", "happy/a.png", "smile")
    decisions_of(home / "decisions.csv", ("mine", "happy/0.png", "no_smile"), ("yours", "happy/0.png", "smile"), near_copy)
    assert run(home, "--report") == 0
    said = capsys.readouterr().out
    assert "3 decisions by Ann" in said
    assert "1 decisions are on near-copies" in said
    assert "not in the dataset" not in said
    assert "mine: 1 labels changed" in said
    assert "yours: 0 labels changed, 0 faces dropped, 1 confirmed" in said


def test_the_report_says_when_the_dataset_was_built_with_an_earlier_table(home, capsys):
    path = home / "decisions.csv"
    decisions_of(path, ("mine", "happy/0.png", "no_smile"))
    built = {"file": path.name, "sha256": digest_of(path), **count_decisions(training_faces(), read_decisions(path))}
    (home / "faces.json").write_text(json.dumps({"decisions": built}))
    assert run(home, "--report") == 0
    assert "earlier table" not in capsys.readouterr().out
    decisions_of(path, ("mine", "happy/2.png", "no_smile"))
    assert run(home, "--report") == 0
    said = capsys.readouterr().out
    assert "2 decisions by Ann" in said
    assert "was built with an earlier table; build it again with --decisions" in said
    assert "mine: 1 labels changed" in said


def test_ctrl_c_while_the_dataset_is_read_is_one_sentence(home, capsys, monkeypatch):
    def stopped(_path: Path) -> Faces:
        raise KeyboardInterrupt

    monkeypatch.setattr(Faces, "load", stopped)
    assert run(home) == 130
    assert_one_sentence(capsys, "Stopped")


@pytest.fixture
def trainings(home) -> tuple[Path, Path]:
    """Two folders with the shipped network, as if trained on `mine` only and on both sets of the drawn dataset."""
    from training.data.splits import save_split

    faces = Faces.load(home / "faces.npz")
    yours = np.flatnonzero(faces.source == "yours")
    faces.split[yours[:8]] = "val"
    faces.save(home / "faces.npz")
    folders = home / "before", home / "after"
    for folder in folders:
        folder.mkdir()
        (folder / "smile.tflite").write_bytes((ROOT / "models" / "smile.tflite").read_bytes())
        (folder / "training.json").write_text(json.dumps({"trained_on": {"mine": 20}}))
        save_split(faces, folder / "split.csv.gz")
    return folders


def test_two_trainings_are_compared_on_validation_faces_set_by_set(home, trainings, capsys):
    from smile_recognition import SmileRecognizer
    from training.judging.judge import read_crops

    decisions_of(home / "decisions.csv", ("mine", "happy/0.png", "no_smile"))
    assert run(home, "--report", "--before", trainings[0], "--after", trainings[1]) == 0
    said = capsys.readouterr().out
    table = {line.split()[0]: line for line in said.splitlines() if "points" in line}
    assert "relabelled" in table["mine"]
    assert "another set: not trained on" in table["yours"]
    assert "another set, in all" in said
    for name in ("mine", "yours"):
        part = Faces.load(home / "faces.npz").part("val", name)
        right = (read_crops(SmileRecognizer(trainings[0] / "smile.tflite"), part.gray).smile >= 0.5) == (part.smile == 1)
        assert f"{right.mean():.2%}" in table[name]
        assert "+0.00 points" in table[name], "the same network twice"


def test_a_training_that_saw_the_validation_part_compares_nothing(home, trainings, capsys):
    from training.data.splits import save_split

    faces = Faces.load(home / "faces.npz")
    faces.split[:] = "train"
    save_split(faces, trainings[1] / "split.csv.gz")
    decisions_of(home / "decisions.csv", ("mine", "happy/0.png", "no_smile"))
    assert run(home, "--report", "--before", trainings[0], "--after", trainings[1]) == 2
    assert_one_sentence(capsys, "was trained on faces of this dataset's validation or test part")


# --- asking for what can't be ---


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--limit", 0), "--limit must be"),
        (("--by", AUTOMATIC), "--by must be a name"),
        (("--by", "Ann\r"), "--by must be a name"),
        (("--automatic", "--below", 0), "--below must be"),
        (("--report", "--before", "runs/a"), "go together"),
        (("--before", "runs/a", "--after", "runs/b"), "go together"),
        (("--sources", "theirs"), "no set called theirs"),
        (("--predictions", "none.csv.gz"), "is not a table that"),
        (("--data", "none.npz"), "There is no dataset"),
        (("--report",), "can't be read"),
        (("--port", 99999), "can't be used"),
    ],
)
def test_what_can_not_be_done_gets_one_sentence(home, capsys, options, sentence):
    assert run(home, *options) == 2
    assert_one_sentence(capsys, sentence)


def test_a_port_that_is_taken_is_said(home, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(home, "--port", taken.getsockname()[1]) == 2
    assert_one_sentence(capsys, "is taken by another program; choose another one with --port")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
