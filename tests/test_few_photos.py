"""A dozen photos of one's own: one command for all steps, and what is said where they are too few or wrong."""

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import inference
from common.commands import command
from common.errors import DatasetError
from common.places import ROOT
from tests.class_folders import save_crops
from tests.drawn_faces import drawn_set
from training import evaluate, mine
from training.data import assembling
from training.data.assembling import SHARES, shares_for, shortage, split_groups
from training.data.faces import Faces

pytestmark = [pytest.mark.slow(15), pytest.mark.usefixtures("dataset_workers_in_this_process")]


@pytest.fixture(autouse=True)
def one_worker(monkeypatch):
    """OpenCV's cascade, which looks for backgrounds, must not be used by two threads at once."""
    monkeypatch.setattr(assembling, "worker_processes", lambda count: ThreadPoolExecutor(1))


def test_few_faces_make_few_parts():
    def of(smiling: int, serious: int) -> Faces:
        faces = drawn_set("mine", 2 * max(smiling, serious, 1), 1)
        chosen = [*np.flatnonzero(faces.smile == 1)[:smiling], *np.flatnonzero(faces.smile == 0)[:serious]]
        return faces.where(np.array(chosen, int))

    assert shares_for(of(100, 100)) == SHARES
    assert not shortage(split_groups(of(100, 100), seed=0))
    assert set(split_groups(of(40, 30), seed=0, shares=shares_for(of(40, 30))).split) == {"train", "test"}
    some = of(40, 30)
    assert shortage(split_groups(some, seed=0, shares=shares_for(some))).startswith(
        "There are 40 smiling and 30 other faces: a quarter of them is the test part"
    )
    assert set(split_groups(of(40, 9), seed=0, shares=shares_for(of(40, 9))).split) == {"train"}
    assert "with 20 of each there is a test part" in shortage(of(40, 9))
    one_person = replace(of(40, 30), group=np.zeros(70, int))
    assert shortage(split_groups(one_person, seed=0, shares=shares_for(one_person))).startswith("Nearly all photos seem")
    with pytest.raises(DatasetError, match="No face was found in the pictures of no_smile"):
        shortage(of(40, 0))
    points = replace(of(3, 3), smile=np.full(6, -1, np.int8))
    assert shares_for(points) == SHARES, "points alone have no classes"
    assert not shortage(points)


def test_one_command_makes_a_network_of_a_dozen_crops_and_says_how_to_use_it(tmp_path, monkeypatch, capsys):
    save_crops(tmp_path / "crops", 6)
    monkeypatch.chdir(tmp_path)
    assert mine.main(["crops", "--cropped"]) in (0, 1)
    said = capsys.readouterr()
    assert "There are 6 smiling and 6 other faces: all are for training" in said.out
    assert "There is no test part" in said.out
    app_line, scoring_line = said.out.splitlines()[-2:]
    assert shlex.split(app_line)[1:] == [str(ROOT / "app.py"), "--model", "runs/crops/smile.tflite"]
    arguments = shlex.split(scoring_line)
    assert arguments[1] == str(ROOT / "inference.py")
    assert inference.main([*arguments[2:], "--workers", "1"]) in (0, 1)
    assert (tmp_path / "runs" / "crops" / "faces.csv").is_file()
    assert evaluate.main(["--data", "datasets/crops.npz", "--model", "runs/crops"]) == 2
    assert "no labelled face in its test part; add photos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere is neither a folder nor a whole zip file"),
        (["crops", "--cropped", "--fine-tune", "nowhere"], "nowhere has no readable training.json"),
    ],
)
def test_one_command_says_in_a_sentence_what_is_wrong(tmp_path, monkeypatch, capsys, arguments, sentence):
    save_crops(tmp_path / "crops", 2)
    monkeypatch.chdir(tmp_path)
    assert mine.main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_evaluate_names_what_is_missing(tmp_path, capsys):
    assert evaluate.main(["--model", str(tmp_path / "none"), "--data", str(tmp_path / "none.npz")]) == 2
    assert f"There is no network at {tmp_path}" in capsys.readouterr().err


def test_a_printed_command_can_be_pasted(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    printed = command("training.evaluate", Path("my photos"), model=Path("runs/it's"), out_file="a b", seed=None)
    assert shlex.split(printed)[1:] == ["-m", "training.evaluate", "my photos", "--model", "runs/it's", "--out-file", "a b"]
    monkeypatch.chdir(ROOT)
    assert shlex.split(command("app.py"))[1] == "app.py"
