"""What a training is told: which network, which sets, when to stop, and what can't be."""

import json
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest

from tests.drawn_faces import every_kind_of_set
from tests.small_network import in_place_of_ours
from training import train
from training.data.faces import Faces
from training.fitting import fit, progress
from training.networks.recipes import RECIPES

pytestmark = pytest.mark.slow(25)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return every_kind_of_set()


@pytest.fixture(scope="module")
def data(faces, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    faces.save(path)
    return path


@pytest.fixture(scope="module", autouse=True)
def small_network():
    yield from in_place_of_ours()


def test_training_stops_when_nothing_gets_better(data, tmp_path, monkeypatch):
    scores = iter([0.6, 0.7, 0.5, 0.65, 0.69])
    monkeypatch.setattr(progress.TrainingProgress, "judge", lambda *_: {"val": next(scores)})
    assert train.main(["--data", str(data), "--network", "lenet", "--out", str(tmp_path), "--patience", "2"]) == 0
    made = json.loads((tmp_path / "training.json").read_text())
    assert made["epochs"] == 4
    assert made["chosen_epoch"] == 2


@pytest.mark.parametrize(
    ("network", "sources"),
    [("lenet", ["smiles"]), ("seed", ["getty_faces"]), ("minimal", ["genki", "smiles"]), ("keypoints", ["keypoints"])],
)
def test_every_simple_network_trains_on_the_sets_it_is_meant_for(data, tmp_path, capsys, network, sources):
    assert train.main(["--network", network, "--data", str(data), "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert f"Wrote {tmp_path}/my_model.keras" in capsys.readouterr().out
    made = json.loads((tmp_path / "training.json").read_text())
    assert made["network"] == network
    assert list(made["trained_on"]) == sources
    assert made["backgrounds"] == 0
    assert np.isfinite(made["history"][0]["val"])
    model = keras.models.load_model(tmp_path / "my_model.keras")
    size = RECIPES[network].size
    assert model.input_shape == (None, size, size, 1)
    assert set(model.output) == {"landmarks" if network == "keypoints" else "smile"}
    assert joblib.load(tmp_path / "scaler.save").n_features_in_ == size**2
    assert not (tmp_path / "smile.tflite").exists(), "the app does not read a simple network"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--data", "missing.npz"], "There is no dataset at missing.npz"),
        (["--data", __file__], "is not a dataset"),
        (["--data", "{data}", "--sources", "genki", "yours"], "has no set called yours"),
        (["--data", "{data}", "--without", "theirs"], "has no set called theirs"),
        (["--from-scratch", "--data", "{data}", "--epochs", "0"], "--epochs must be 1 or more"),
        (["--from-scratch", "--data", "{data}", "--patience", "0"], "--patience must be 1 or more"),
        (["--data", "{data}", "--epochs", "3"], "--epochs is for training all outputs; add --from-scratch"),
        (["--data", "{data}", "--fine-tune", "nowhere"], "nowhere has no readable training.json"),
        (["--data", "{data}", "--fine-tune", "runs", "--network", "lenet"], "leave --network out"),
        (["--from-scratch", "--data", "{data}", "--sources", "keypoints"], "needs both smiling and not smiling faces"),
        (["--data", "{data}", "--sources", "keypoints"], "needs both smiling and not smiling faces"),
        (["--data", "{data}", "--without", "genki", "smiles", "getty_faces", "keypoints"], "needs both smiling"),
        (["--data", "{data}", "--network", "keypoints", "--sources", "genki"], "has no landmarks"),
        (["--data", "{data}", "--network", "vgg19", "--imagenet-weights", "missing.h5"], "ImageNet weights"),
        (["--data", "{data}", "--network", "vgg19", "--imagenet-weights", __file__], "ImageNet weights"),
    ],
)
def test_bad_options_get_one_sentence_and_code_2(data, tmp_path, capsys, options, sentence):
    assert train.main([*(option.format(data=data) for option in options), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_one_class_is_not_enough(faces, tmp_path, capsys):
    faces.where(faces.smile == 1).save(tmp_path / "one.npz")
    assert train.main(["--data", str(tmp_path / "one.npz"), "--out", str(tmp_path)]) == 2
    assert "needs both smiling and not smiling faces" in capsys.readouterr().err


def test_a_file_in_place_of_the_output_folder_is_said_in_a_sentence(data, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert train.main(["--data", str(data), "--out", str(tmp_path / "taken")]) == 2
    assert "could not be written" in capsys.readouterr().err


def test_sets_are_chosen_by_name(faces, data):
    def names(sources: list[str] | None, without: list[str] | None) -> set[str]:
        return set(fit.choose_sources(faces, sources, without, data).source.tolist())

    assert names(None, None) == {"genki", "smiles", "getty_faces", "keypoints"}
    assert names(["genki", "smiles"], ["smiles"]) == {"genki"}
    assert names(None, ["genki", "keypoints"]) == {"smiles", "getty_faces"}
