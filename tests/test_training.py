"""From a dataset to a network that the app can load: it learns, survives a kill, and can go on from another."""

import gzip
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf

from smile_recognition import DEFAULT_MODEL, OUTPUTS, SmileRecognizer
from tests.drawn_faces import every_kind_of_set
from tests.small_network import in_place_of_ours
from training import train
from training.data import splits
from training.data.assembling import split_groups
from training.data.faces import Faces
from training.fitting import fit, progress
from training.fitting.plan import Plan, Taught
from training.networks import recipes
from training.networks.recipes import RECIPES

pytestmark = pytest.mark.slow(60)

EPOCHS = 6


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


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    command = [
        "--from-scratch",
        "--data",
        str(data),
        "--out",
        str(out),
        "--without",
        "getty_faces",
        "--epochs",
        str(EPOCHS),
        "--seed",
        "3",
    ]
    assert trains(command)
    return out


def trains(command: list[str]) -> bool:
    """Whether a network was made; how good a few epochs make it is a matter of luck, and said by 0 or 1."""
    return train.main(command) in (0, 1)


def history(out: Path) -> list[dict]:
    return json.loads((out / "training.json").read_text())["history"]


def test_every_loss_falls(trained):
    """How far a few epochs come depends on a processor's rounding; that they go down does not."""
    losses = [entry["loss"] for entry in history(trained)]
    assert losses[-1] < 0.8 * losses[0]
    assert min(entry["point_error"] for entry in history(trained)) < history(trained)[0]["point_error"]
    (events,) = (trained / "logs").rglob("train/events.out.tfevents.*")
    for output in ("smile", "presence", "landmarks"):
        values = tensorboard_values(events, f"epoch_{output}_loss")
        assert len(values) == len(losses)
        assert min(values[1:]) < values[0], f"{output} is learnt too: {values}"


def tensorboard_values(events: Path, tag: str) -> list[float]:
    found = []
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        found += [float(tf.make_ndarray(value.tensor)) for value in event.summary.value if value.tag == tag]
    return found


def test_training_writes_all_its_files_and_nothing_half_done(trained, faces):
    assert {file.name for file in trained.iterdir()} == {
        *("best.keras", "my_model.keras", "scaler.save", "smile.tflite", "hold.npz", "split.csv.gz", "training.json", "logs")
    }
    assert list((trained / "logs").rglob("events.out.tfevents.*"))
    made = json.loads((trained / "training.json").read_text())
    training = faces.part("train")
    sets = ("genki", "keypoints", "smiles")
    assert made["trained_on"] == {s: int(((training.source == s) & (training.face == 1)).sum()) for s in sets}
    assert made["backgrounds"] == (training.face == 0).sum()
    assert (made["network"], made["seed"], made["precision"]) == ("smile", 3, "float32")
    assert made["epochs"] == len(made["history"]) == EPOCHS
    values = [entry["val"] + entry["spoilt"] for entry in made["history"]]
    assert made["chosen_epoch"] == max(range(EPOCHS), key=lambda i: (values[i], i)) + 1
    model = keras.models.load_model(trained / "my_model.keras")
    assert made["weights"] == model.count_params()
    assert set(model.output) == set(OUTPUTS)
    assert 0.25 <= made["temperature"] <= 4


def read_keras(folder: Path, gray: np.ndarray) -> dict[str, np.ndarray]:
    """What scaler, Keras network and temperature make of `gray` uint8 `(n, 64, 64)`: `smile` and `presence` `(n,)`, 0 to 1,
    and `landmarks` `(n, 5, 2)`, 0 to 1 across the crop.
    """
    scaler, model = joblib.load(folder / "scaler.save"), keras.models.load_model(folder / "my_model.keras")
    scaled = scaler.transform(gray.reshape(len(gray), -1)).reshape(-1, 64, 64, 1)
    read = model.predict(scaled, verbose=0)
    temperature = json.loads((folder / "training.json").read_text())["temperature"]
    return {
        "smile": 1 / (1 + np.exp(-read["smile"][:, 0] / temperature)),
        "presence": 1 / (1 + np.exp(-read["presence"][:, 0])),
        "landmarks": read["landmarks"].reshape(-1, 5, 2),
    }


def assert_file_equals_scaler_and_keras(folder: Path, gray: np.ndarray) -> None:
    """`gray` uint8 `(n, 64, 64)`. Whole numbers of 8 bits change what is read a little, and hardly a label."""
    expected = read_keras(folder, gray)
    smile = expected["smile"]
    recognizer = SmileRecognizer(folder / "smile.tflite")
    read = [recognizer.read(crop, [(0, 64, 64, 0)])[0] for crop in gray]
    seen = np.array([face.smile for face in read])
    assert np.abs(seen - smile).mean() < 0.01
    assert ((seen >= 0.5) == (smile >= 0.5))[np.abs(smile - 0.5) > 0.05].all()
    assert np.abs(np.array([face.presence for face in read]) - expected["presence"]).mean() < 0.01
    landmarks = (np.array([face.points for face in read]) + 0.5) / 64
    assert np.abs(landmarks - expected["landmarks"]).mean() < 0.005
    assert smile.max() - smile.min() > 0.02, "or any two networks would agree"


def test_the_exported_file_gives_the_same_numbers_as_scaler_and_keras(trained, faces):
    assert_file_equals_scaler_and_keras(trained, faces.gray[faces.source == "getty_faces"])


def test_the_shipped_file_is_the_shipped_keras_network(astronaut):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    tops = range(40, 120, 10)
    crops = [cv2.resize(gray[t : t + 90, 182:272], (64, 64), interpolation=cv2.INTER_AREA) for t in tops]
    assert_file_equals_scaler_and_keras(DEFAULT_MODEL.parent, np.stack(crops))


def test_whole_numbers_of_8_bits_change_hardly_a_label(shared_data):
    with zipfile.ZipFile(shared_data / "smiles.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::7]
        read = (cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE) for name in names)
        crops = [image for image in read if image is not None]  # one is damaged
    there, kept = read_keras(DEFAULT_MODEL.parent, np.stack(crops))["smile"], SmileRecognizer()
    here = np.array([kept.read(crop, [(0, 64, 64, 0)])[0].smile for crop in crops])
    assert len(here) > 1000
    assert ((here >= 0.5) == (there >= 0.5)).mean() >= 0.998
    assert np.abs(here - there).mean() < 0.005


def test_a_training_killed_twice_goes_on_and_ends_alike(data, tmp_path, monkeypatch, capsys):
    command = ["--from-scratch", "--data", str(data), "--sources", "smiles", "--epochs", "3", "--out"]
    assert trains([*command, str(tmp_path / "whole")])
    write = progress.write_json_whole

    def die_in_epoch(number: int, *, named: bool) -> None:
        def die(path: Path, content: dict) -> None:
            if named or len(content["history"]) < number:
                write(path, content)
            if len(content["history"]) == number:
                raise KeyboardInterrupt  # its checkpoint is written, but named only if `named`

        monkeypatch.setattr(progress, "write_json_whole", die)

    for number, named in ((2, False), (2, True)):
        die_in_epoch(number, named=named)
        assert train.main([*command, str(tmp_path / "run")]) == 130
        assert "The same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(progress, "write_json_whole", write)
    assert trains([*command, str(tmp_path / "run")])
    assert "continuing after epoch 2\n" in capsys.readouterr().out
    resumed, whole = history(tmp_path / "run"), history(tmp_path / "whole")
    assert [entry["epoch"] for entry in resumed] == [1, 2, 3]
    assert [set(entry) for entry in resumed] == [set(entry) for entry in whole]
    assert [entry["loss"] for entry in resumed] == pytest.approx([entry["loss"] for entry in whole], rel=1e-3)
    assert not (tmp_path / "run" / "progress.json").exists()


def test_other_options_begin_anew(data, tmp_path, monkeypatch, capsys):
    command = ["--data", str(data), "--network", "lenet", "--out", str(tmp_path), "--epochs"]
    with monkeypatch.context() as patch:
        patch.setattr(fit, "finish", lambda *_, **__: None)  # as if killed after the last epoch
        assert train.main([*command, "1"]) == 0
    assert train.main([*command, "2"]) == 0
    assert "continuing" not in capsys.readouterr().out
    assert [entry["epoch"] for entry in history(tmp_path)] == [1, 2]
    assert not list(tmp_path.glob("checkpoint-*"))


def test_whatever_changes_a_training_begins_it_anew(faces):
    def digest(of: Faces = faces, recipe: recipes.Recipe = RECIPES["lenet"], **changed: Any) -> str:
        return fit.digest_of_all_that_matters(of, Plan(recipe, **changed))

    others = [digest(recipe=recipe) for name, recipe in RECIPES.items() if name != "lenet"]
    same_but_for_its_name = replace(RECIPES["lenet"], name="minimal")
    others += [digest(recipe=same_but_for_its_name), digest(recipe=replace(RECIPES["lenet"], landmark_loss="mse"))]
    for name, column in faces.fields().items():
        others.append(digest(replace(faces, **{name: np.roll(column, 7, axis=0)})))
    others += [digest(seed=1), digest(precision="mixed_bfloat16"), digest(start_from=Path("runs"))]
    others += [digest(taught=Taught(np.full(len(faces), 0.5), share)) for share in (0.5, 0.1)]
    assert digest() == digest()
    assert len({digest(), *others}) == 1 + len(others)


def assert_kernels_are_nearly_those_of(start: Path, made: Path) -> None:
    """One epoch at a rate of 1e-6 changes nearly nothing; a start from nothing has other numbers throughout."""
    before, after = (keras.models.load_model(folder / "my_model.keras") for folder in (start, made))
    kernels = [(ours, theirs) for ours, theirs in zip(after.weights, before.weights, strict=True) if ours.ndim == 4]
    assert len(kernels) == 2
    for ours, theirs in kernels:
        assert np.abs(ours.numpy() - theirs.numpy()).max() < 1e-3, ours.path


def test_a_training_can_begin_with_the_weights_of_another(data, faces, trained, tmp_path, capsys):
    command = ["--data", str(data), "--epochs", "1", "--out", str(tmp_path / "on"), "--rate", "1e-6", "--plain-share", "0.5"]
    assert trains([*command, "--start-from", str(trained)])
    assert_kernels_are_nearly_those_of(trained, tmp_path / "on")
    (tmp_path / "shipped").mkdir()
    for name in ("my_model.keras", "training.json", "split.csv.gz"):  # as models/ has them, without the training's outputs
        shutil.copy(trained / name, tmp_path / "shipped")
    assert trains([*command, "--start-from", str(tmp_path / "shipped")])
    assert_kernels_are_nearly_those_of(trained, tmp_path / "on")
    assert train.main([*command, "--start-from", str(tmp_path / "none")]) == 2
    assert "has no readable training.json" in capsys.readouterr().err
    made = json.loads((tmp_path / "on" / "training.json").read_text())
    assert [stage["epochs"] for stage in made["stages"]] == [EPOCHS, 1]


def test_a_network_is_not_judged_by_faces_that_it_has_seen_before(faces, trained, tmp_path, capsys):
    split_groups(faces, seed=5).save(tmp_path / "other.npz")
    command = ["--data", str(tmp_path / "other.npz"), "--out", str(tmp_path / "on"), "--start-from", str(trained)]
    assert train.main(command) == 2
    assert "was trained on faces of this dataset's validation or test part" in capsys.readouterr().err


def test_the_split_is_written_beside_the_network_the_same_each_time(trained, faces, tmp_path):
    written = gzip.decompress((trained / "split.csv.gz").read_bytes()).decode().splitlines()
    used = faces.where(np.isin(faces.source, ["genki", "keypoints", "smiles"]))
    real = used.where(used.face == 1)
    assert sorted(written[1:]) == sorted(
        f"{s},{n},{g},{p}" for s, n, g, p in zip(real.source, real.name, real.group, real.split, strict=True)
    )
    splits.save_split(used, tmp_path / "again.csv.gz")
    assert (tmp_path / "again.csv.gz").read_bytes() == (trained / "split.csv.gz").read_bytes()


def test_a_network_whose_split_nobody_knows_is_not_trained_on(data, trained, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "first")
    command = ["--data", str(data), "--out", str(tmp_path / "on"), "--start-from", str(tmp_path / "first")]
    (tmp_path / "first" / "split.csv.gz").write_bytes(b"nonsense")
    assert train.main(command) == 2
    (tmp_path / "first" / "split.csv.gz").unlink()
    assert train.main(command) == 2
    (tmp_path / "first" / "training.json").write_text("{")
    assert train.main(command) == 2
    said = capsys.readouterr().err.splitlines()
    assert all(words in line for words, line in zip(("is not a manifest", "nobody knows", "no readable"), said, strict=True))
    assert not (tmp_path / "on" / "training.json").exists()
