"""Networks without one set, and simpler ones, judged beside ours on the same faces."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.drawn_faces import drawn_parts
from tests.judged_networks import TRAINING, judging
from training.data.faces import Faces
from training.judging import records as report
from training.judging import scores

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faces() -> Faces:
    return drawn_parts()


@pytest.fixture
def judged(faces, tmp_path):
    return judging(faces, tmp_path)


def test_left_out_sets_are_recorded_side_by_side_and_shown(judged, faces, tmp_path):
    assert judged() == 0
    without = tmp_path / "without"
    shutil.copytree(tmp_path / "model", without)
    (without / "training.json").write_text(json.dumps({**TRAINING, "trained_on": {"mine": 24}}))
    # The first face of the other set turns out to be a copy of a training face.
    copied = faces.group.copy()
    copied[np.isin(copied, copied[faces.source == "yours"][:1])] = faces.group[(faces.split == "train")][0]
    replace(faces, group=copied).save(tmp_path / "faces.npz")
    record = tmp_path / "model" / "left_out.json"
    record.write_text("{}")
    report.record(record, "zoo", {"figures": scores.smile_figures(np.ones(9), np.ones(9), np.arange(9))})
    assert judged("--left-out", "yours", "--model", without, "--record", record) == 0
    recorded = json.loads(record.read_text())
    assert list(recorded) == ["yours", "zoo"]
    assert recorded["yours"]["grouped_with_trained_on"] >= 1
    figures = recorded["yours"]["figures"]
    assert figures["faces"] + recorded["yours"]["grouped_with_trained_on"] == 30, "of all parts"
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert f"| yours | {figures['faces']} | {figures['accuracy']:.1%} |" in card
    assert "| zoo | 9 | 100.0% |" in card


def test_a_set_that_was_trained_on_is_not_left_out(judged, tmp_path, capsys):
    assert judged("--left-out", "mine", "--record", tmp_path / "left_out.json") == 2
    assert "was trained on mine" in capsys.readouterr().err
    assert judged("--left-out", "theirs", "--record", tmp_path / "left_out.json") == 2
    assert "has no faces of theirs" in capsys.readouterr().err
    assert not (tmp_path / "left_out.json").exists()


def test_simpler_networks_are_judged_on_the_same_faces(judged, faces, tmp_path):
    import joblib

    from training.fitting.batches import fit_scaler, resized
    from training.networks.recipes import RECIPES

    assert judged() == 0
    for name in ("lenet", "keypoints"):
        (tmp_path / name).mkdir()
        RECIPES[name].build().save(tmp_path / name / "my_model.keras")
        joblib.dump(fit_scaler(resized(faces, RECIPES[name].size)), tmp_path / name / "scaler.save")
        training = {**TRAINING, "network": name, "temperature": 1.0, "weights": 777, "trained_on": {"mine": 1}}
        (tmp_path / name / "training.json").write_text(json.dumps(training))
    record = tmp_path / "model" / "baselines.json"
    assert judged("--baselines", tmp_path / "lenet", tmp_path / "keypoints", "--record", record) == 0
    recorded, ours = json.loads(record.read_text()), json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert recorded["lenet"]["sets"]["yours"]["faces"] == ours["sets"]["yours"]["faces"]
    assert recorded["lenet"]["meant_for"] == ["smiles"]
    assert recorded["keypoints"]["sets"] == {}
    assert recorded["keypoints"]["landmarks"]["faces"] == ours["landmarks"]["faces"]
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "| this network | keypoints | lenet |" in card
    accuracy = recorded["lenet"]["sets"]["mine"]["accuracy"]
    assert f"| mine | {ours['sets']['mine']['accuracy']:.1%}* | - | {accuracy:.1%}* |" in card
    # A set more or less changes nothing for the others; on other faces of a set networks can't be compared.
    faces.where(faces.source == "mine").save(tmp_path / "faces.npz")
    assert judged() == 0
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert f"| mine | {ours['sets']['mine']['accuracy']:.1%}* | - | {accuracy:.1%}* |" in card
    last = np.flatnonzero((faces.split == "test") & (faces.smile >= 0))[-1]
    faces.where(np.arange(len(faces)) != last).save(tmp_path / "faces.npz")
    assert judged() == 0
    assert "Recorded on other faces" in (tmp_path / "model" / "MODEL_CARD.md").read_text()
