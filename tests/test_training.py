"""From a folder of pictures to a network that the app can load, on drawn faces, in a minute."""

import json
import zipfile
from typing import Any

import cv2
import joblib
import numpy as np
import pytest

from errors import DatasetError
from smile_recognition import SmileRecognizer
from training import dataset, evaluate, train
from training.dataset import Faces, build_dataset, split_groups
from training.grouping import connected_groups, duplicate_pairs, person_pairs
from training.sources import find_source


def draw_face(smile: bool, rng: np.random.Generator) -> np.ndarray:
    """A simple face, uint8 (80, 80), whose mouth bends up or down."""
    image: Any = np.full((80, 80), rng.integers(60, 120), np.uint8)
    image = cv2.add(image, rng.integers(0, 25, image.shape).astype(np.uint8))
    cv2.ellipse(image, (40, 40), (int(rng.integers(30, 37)), int(rng.integers(34, 39))), 0, 0, 360, 190, cv2.FILLED)
    for x in (27, 53):
        cv2.circle(image, (x + int(rng.integers(-2, 3)), 30 + int(rng.integers(-3, 4))), 4, 40, cv2.FILLED)
    center = (40 + int(rng.integers(-3, 4)), (50 if smile else 64) + int(rng.integers(-2, 3)))
    cv2.ellipse(image, center, (16, 10), 0, *((20, 160) if smile else (200, 340)), 30, 3)
    return image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """mine/{smile,no_smile} with 150 drawn faces each, a damaged file and a text file."""
    folder = tmp_path_factory.mktemp("photos") / "mine"
    rng = np.random.default_rng(1)
    for label in ("smile", "no_smile"):
        (folder / label).mkdir(parents=True)
        for i in range(150):
            cv2.imwrite(str(folder / label / f"{i}.png"), draw_face(label == "smile", rng))
    (folder / "smile" / "damaged.jpg").write_bytes(b"\xff\xd8 cut off")
    (folder / "smile" / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def faces(photos, tmp_path_factory) -> Faces:
    # Drawn faces have no persons: the descriptors of one drawing style are all alike.
    source = find_source(photos, cropped=True)
    read, left_out = dataset.read_set(photos, source, workers=1)
    assert left_out == {"unreadable": 1}
    grouped, _ = dataset.group_faces(read, persons=False, cache=tmp_path_factory.mktemp("cache") / "x.npz")
    return split_groups(grouped, seed=0)


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    faces.save(out / "faces.npz")
    assert train.main(["--data", str(out / "faces.npz"), "--out", str(out), "--epochs", "32"]) == 0
    return out


def test_every_picture_is_read_once_with_its_label(faces):
    assert 290 <= len(faces.smile) <= 300
    assert 0.45 < faces.smile.mean() < 0.55
    assert faces.gray.shape[1:] == (64, 64)
    assert faces.gray.dtype == np.uint8


def test_splits_keep_their_shares_and_share_no_group(faces):
    shares = [(faces.split == split).mean() for split in dataset.SPLITS]
    assert np.allclose(shares, dataset.SHARES, atol=0.03)
    groups = [set(faces.group[faces.split == split]) for split in dataset.SPLITS]
    assert len(set.union(*groups)) == sum(len(group) for group in groups)
    assert (split_groups(faces, seed=0).split == faces.split).all(), "the same seed gives the same split"
    assert (split_groups(faces, seed=1).split != faces.split).any()


def test_near_copies_are_found_and_other_faces_are_not():
    rng = np.random.default_rng(5)
    crops = np.stack([cv2.resize(rng.integers(0, 256, (8, 8), dtype=np.uint8), (64, 64)) for _ in range(20)])
    brighter = cv2.convertScaleAbs(crops[3], alpha=0.8, beta=20)
    blurred = cv2.GaussianBlur(crops[4], (3, 3), 0)
    mirrored = crops[5][:, ::-1]
    pairs = duplicate_pairs(np.concatenate([crops, np.stack([brighter, blurred, mirrored])]))
    assert sorted(map(tuple, pairs.tolist())) == [(3, 20), (4, 21), (5, 22)]
    assert len(duplicate_pairs(crops[:0])) == 0


def test_groups_chain_pairs_and_strangers_stay_apart():
    descriptors = np.zeros((4, 128))
    descriptors[:, 0] = [0.0, 0.3, 0.6, 5.0]
    pairs = person_pairs(descriptors)
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (1, 2)]
    groups = connected_groups(4, pairs)
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_a_near_copy_with_the_opposite_label_is_dropped(photos, tmp_path):
    picture = cv2.imread(str(photos / "smile" / "7.png"), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    for label in ("smile", "no_smile"):
        (tmp_path / "two" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "two" / label / "same.png"), picture)
    cv2.imwrite(str(tmp_path / "two" / "smile" / "other.png"), cv2.imread(str(photos / "smile" / "8.png")))
    read, _ = dataset.read_set(tmp_path / "two", find_source(tmp_path / "two", cropped=True), workers=1)
    kept, counts = dataset.group_faces(read, persons=False, cache=tmp_path / "x.npz")
    assert counts["near_copy_pairs_with_opposite_labels"] == 1
    assert "smile/other.png" in kept.name
    assert "no_smile/same.png" not in kept.name


def test_a_zip_reads_like_the_folder_in_it(photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for file in sorted(photos.rglob("*.png")):
            archive.write(file, file.relative_to(photos.parent))
    folder, _ = dataset.read_set(photos, find_source(photos, cropped=True), workers=1)
    packed, _ = dataset.read_set(tmp_path / "mine.zip", find_source(tmp_path / "mine.zip", cropped=True), workers=1)
    assert (folder.gray == packed.gray).all()
    assert (folder.name == packed.name).all()


def test_photos_are_cropped_with_the_app_s_own_detector(face_picture, tmp_path):
    for label in ("smile", "no_smile"):
        (tmp_path / "real" / label).mkdir(parents=True)
    (tmp_path / "real" / "smile" / "face.jpg").write_bytes(face_picture.read_bytes())
    cv2.imwrite(str(tmp_path / "real" / "no_smile" / "wall.png"), np.full((200, 200), 99, np.uint8))
    read, left_out = dataset.read_set(tmp_path / "real", find_source(tmp_path / "real"), workers=1)
    assert left_out == {"no_face": 1}
    assert read.name.tolist() == ["smile/face.jpg"]


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda folder: (folder / "smile").mkdir(), "has no pictures in a folder called"),
        (lambda folder: (folder / "no_smile").mkdir(), "has no pictures in a folder called"),
        (lambda folder: folder.rmdir(), "neither a folder nor a zip file"),
    ],
)
def test_a_useless_folder_gets_one_sentence_and_code_2(tmp_path, capsys, prepare, sentence):
    folder = tmp_path / "mine"
    folder.mkdir()
    prepare(folder)
    assert dataset.main([str(folder), "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err


def test_pictures_without_faces_get_one_sentence(tmp_path):
    for label in ("smile", "no_smile"):
        (tmp_path / "walls" / label).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "walls" / label / "wall.png"), np.full((200, 200), 99, np.uint8))
    with pytest.raises(DatasetError, match="No face could be found"):
        build_dataset([tmp_path / "walls"], tmp_path / "out", workers=1)


def test_the_scaler_is_fitted_on_training_faces_and_scales_to_one(faces):
    training = faces.part("train")
    scaler = train.fit_scaler(training)
    scaled = train.scale(scaler, training.gray)
    assert scaled.shape == (*training.gray.shape, 1)
    assert scaled.min() == pytest.approx(0, abs=1e-5)
    assert scaled.max() == pytest.approx(1, abs=1e-5)
    flat = training.gray.reshape(len(training.gray), -1)
    assert np.allclose(scaler.transform(flat), scaled.reshape(len(scaled), -1), atol=1e-5)


def test_the_exported_file_gives_the_same_numbers_as_scaler_and_keras(trained, faces, astronaut):
    import keras

    model = keras.models.load_model(trained / "my_model.keras")
    scaler = joblib.load(trained / "scaler.save")
    temperature = json.loads((trained / "training.json").read_text())["temperature"]
    face = cv2.resize(cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)[75:165, 182:272], (64, 64), interpolation=cv2.INTER_AREA)
    gray = np.concatenate([faces.gray[:40], face[None]])
    scaled = scaler.transform(gray.reshape(len(gray), -1)).reshape(-1, 64, 64, 1)
    expected = 1 / (1 + np.exp(-model.predict(scaled, verbose=0)[:, 0] / temperature))
    recognizer = SmileRecognizer(trained / "smile.tflite")
    exported = np.array([recognizer.predict_smile(crop, [(0, 64, 64, 0)])[0] for crop in gray])
    assert np.abs(exported - expected).max() < 1e-3
    assert expected.max() - expected.min() > 0.2, "or any two networks would agree"


def test_the_shipped_file_is_the_shipped_keras_network(astronaut):
    import keras

    from smile_recognition import DEFAULT_MODEL
    from training.network import PictureNormalization  # noqa: F401 - Keras finds it by its registered name

    folder = DEFAULT_MODEL.parent
    model, scaler = keras.models.load_model(folder / "my_model.keras"), joblib.load(folder / "scaler.save")
    temperature = json.loads((folder / "training.json").read_text())["temperature"]
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    tops = range(40, 120, 10)
    crops = np.stack([cv2.resize(gray[t : t + 90, 182:272], (64, 64), interpolation=cv2.INTER_AREA) for t in tops])
    scaled = scaler.transform(crops.reshape(len(crops), -1)).reshape(-1, 64, 64, 1)
    expected = 1 / (1 + np.exp(-model.predict(scaled, verbose=0)[:, 0] / temperature))
    recognizer = SmileRecognizer()
    exported = [recognizer.predict_smile(gray, [(t, 272, t + 90, 182)])[0] for t in tops]
    assert np.abs(exported - expected).max() < 1e-3


def test_training_learns_and_is_judged_on_unseen_faces(trained, capsys):
    assert evaluate.main(["--model", str(trained), "--data", str(trained / "faces.npz")]) == 0
    figures = json.loads((trained / "metrics.json").read_text())["test"]["mine"]
    assert figures["faces"] > 20
    assert figures["accuracy"] > 0.8
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"] or figures["accuracy"] == 1
    assert "- mine: " in (trained / "MODEL_CARD.md").read_text()
    assert "| mine |" in capsys.readouterr().out


def test_a_killed_training_goes_on_and_ends_alike(faces, tmp_path, monkeypatch, capsys):
    faces.save(tmp_path / "faces.npz")
    command = ["--data", str(tmp_path / "faces.npz"), "--epochs", "5", "--out"]
    assert train.main([*command, str(tmp_path / "whole")]) == 0
    write = train._write_whole

    def die_after_three_epochs(path, content):
        write(path, content)
        if len(content["history"]) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "_write_whole", die_after_three_epochs)
    with pytest.raises(KeyboardInterrupt):
        train.main([*command, str(tmp_path / "run")])
    monkeypatch.setattr(train, "_write_whole", write)
    assert train.main([*command, str(tmp_path / "run")]) == 0
    assert "continuing after epoch 3" in capsys.readouterr().out
    resumed = json.loads((tmp_path / "run" / "training.json").read_text())["history"]
    whole = json.loads((tmp_path / "whole" / "training.json").read_text())["history"]
    assert [entry["epoch"] for entry in resumed] == [1, 2, 3, 4, 5]
    assert resumed[-1]["loss"] == pytest.approx(whole[-1]["loss"], rel=0.05)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--data", "missing.npz"], "There is no dataset at missing.npz"),
        (["--data", __file__], "is not a dataset"),
        (["--data", "{data}", "--sources", "yours"], "has no set called yours"),
        (["--data", "{data}", "--epochs", "0"], "--epochs must be 1 or more"),
    ],
)
def test_bad_training_options_get_one_sentence_and_code_2(trained, tmp_path, capsys, options, sentence):
    filled = [option.format(data=trained / "faces.npz") for option in options]
    assert train.main([*filled, "--out", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def test_one_class_is_not_enough(faces, tmp_path, capsys):
    chosen = faces.smile == 1
    Faces(*(getattr(faces, name)[chosen] for name in Faces.__dataclass_fields__)).save(tmp_path / "one.npz")
    assert train.main(["--data", str(tmp_path / "one.npz"), "--out", str(tmp_path)]) == 2
    assert "needs both smiling and not smiling faces" in capsys.readouterr().err


def test_a_file_in_place_of_the_output_folder_is_said_in_a_sentence(trained, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert train.main(["--data", str(trained / "faces.npz"), "--out", str(tmp_path / "taken")]) == 2
    assert "could not be written" in capsys.readouterr().err


def test_measures_equal_their_definitions():
    assert evaluate.wilson_interval(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    smile = np.array([1, 0, 1, 0])
    assert evaluate.calibration_error(smile, np.array([0.5, 0.5, 0.5, 0.5])) == 0
    assert evaluate.calibration_error(smile, np.array([1.0, 0, 1, 0])) == 0
    assert evaluate.calibration_error(smile, np.array([0.0, 1, 0, 1])) == 1
    logits = np.random.default_rng(0).normal(0, 2, 20_000)
    labels = (np.random.default_rng(1).random(20_000) < 1 / (1 + np.exp(-logits))).astype(int)
    assert train.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)
