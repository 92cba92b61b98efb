"""The teacher begins as dlib's descriptor network; what it says of faces it has not seen becomes soft labels."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from tests.drawn_faces import drawn_parts
from training.data.predictions import read_predictions, write_predictions
from training.data.splits import read_split
from training.fitting.batches import make_targets
from training.fitting.fit import taught_labels
from training.fitting.plan import Taught
from training.out_of_fold import FILE_NAME, deal_folds
from training.out_of_fold import main as out_of_fold
from training.train import main as train

pytestmark = pytest.mark.slow


@pytest.fixture
def faces():
    return drawn_parts()


def test_it_gives_dlibs_own_descriptor(astronaut):
    import dlib
    from face_recognition_models import face_recognition_model_location, pose_predictor_five_point_model_location

    from training.networks.teacher import build_teacher

    face = dlib.get_frontal_face_detector()(astronaut, 1)[0]
    shape = dlib.shape_predictor(pose_predictor_five_point_model_location())(astronaut, face)
    grey = cv2.cvtColor(dlib.get_face_chip(astronaut, shape, 150, 0.25), cv2.COLOR_BGR2GRAY)
    known = dlib.face_recognition_model_v1(face_recognition_model_location()).compute_face_descriptor(
        np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    )

    model = build_teacher(descriptor=True, size=150)

    ours = model(grey[None, ..., None].astype(np.float32) / 255)["descriptor"].numpy()[0]
    np.testing.assert_allclose(ours, np.array(known), atol=1e-4)
    assert np.linalg.norm(ours) > 1  # not a comparison of zeros


def test_it_has_the_small_networks_outputs():
    from training.networks.network import build_network
    from training.networks.teacher import build_teacher

    assert set(build_teacher().output) == set(build_network().output)


def test_a_broken_weights_file_is_a_sentence(tmp_path, monkeypatch):
    from training.networks import teacher

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "dlib_face_recognition_resnet_model_v1.dat").write_bytes(b"\x01\x05con_4\x01\x02\x01\x10")

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(teacher, "find_spec", lambda _: Spec)
    teacher._dlib_weights.cache_clear()
    with pytest.raises(DatasetError, match="install face_recognition_models"):
        teacher.build_teacher()
    teacher._dlib_weights.cache_clear()


@pytest.mark.parametrize("size", [0, 100, 19_381, 19_808, 30_000])  # 19,381: after a convolution, before what belongs to it
def test_a_weights_file_that_is_cut_off_is_a_sentence(tmp_path, monkeypatch, size):
    from face_recognition_models import face_recognition_model_location

    from training.networks import teacher

    whole = Path(face_recognition_model_location())
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / whole.name).write_bytes(whole.read_bytes()[:size])
    monkeypatch.setattr(teacher, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    teacher._dlib_weights.cache_clear()
    with pytest.raises(DatasetError, match="install face_recognition_models"):
        teacher._dlib_weights()
    teacher._dlib_weights.cache_clear()


def test_folds_keep_groups_whole_and_are_about_equal():
    groups = np.random.default_rng(0).integers(0, 3000, 10_000)

    folds = deal_folds(groups, 3, seed=0)

    assert all(len(set(folds[groups == group].tolist())) == 1 for group in np.unique(groups))
    assert np.bincount(folds).min() > 0.9 * np.bincount(folds).max()
    assert (folds == deal_folds(groups, 3, seed=0)).all()


def test_opinions_come_back_as_they_were_written(tmp_path):
    path = tmp_path / FILE_NAME
    write_predictions(path, np.array(["b", "a"]), np.array(["2.jpg", "1.jpg"]), np.array([1, 0]), np.array([0.25, 0.99996]))
    assert read_predictions(path) == {("a", "1.jpg"): 1.0, ("b", "2.jpg"): 0.25}


@pytest.mark.parametrize("content", [b"", b"source,name\n", b"\x1f\x8b broken"])
def test_what_is_no_table_of_opinions_is_a_sentence(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"training\.out_of_fold"):
        read_predictions(path)


def test_a_soft_label_lies_between_the_label_and_the_teacher(faces):
    labels = np.clip(faces.smile, 0, 1).astype(float)
    taught = np.full(len(faces), np.nan)
    taught[0], taught[1] = 1 - labels[0], labels[1]

    hard = make_targets(faces, soften=False).value["smile"][:, 0]
    soft = make_targets(faces, soften=False, taught=Taught(taught, 0.25)).value["smile"][:, 0]

    assert soft[0] == pytest.approx(0.75 * labels[0] + 0.25 * (1 - labels[0]))
    np.testing.assert_allclose(soft[1:], hard[1:])


def test_opinions_on_validation_faces_are_not_listened_to(faces, tmp_path):
    path = tmp_path / FILE_NAME
    write_predictions(path, faces.source, faces.name, np.zeros(len(faces)), np.full(len(faces), 0.5))

    taught = taught_labels(faces, path)

    assert np.isnan(taught[faces.split != "train"]).all()
    assert (taught[faces.split == "train"] == 0.5).all()

    write_predictions(path, np.array(["other"]), np.array(["x"]), np.array([0]), np.array([0.5]))
    with pytest.raises(DatasetError, match="says nothing"):
        taught_labels(faces, path)


def test_every_training_face_is_judged_by_a_network_that_has_not_seen_it(faces, tmp_path, capsys):
    data, out = tmp_path / "faces.npz", tmp_path / "folds"
    faces.save(data)

    assert out_of_fold(["--network", "minimal", "--data", str(data), "--out", str(out), "--epochs", "1"]) == 0

    said = read_predictions(out / FILE_NAME)
    training = faces.part("train").labelled()
    assert set(said) == set(zip(training.source.tolist(), training.name.tolist(), strict=True))
    for fold in (0, 1):
        seen = {group for group, side in read_split(out / f"fold-{fold}" / "split.csv.gz").values() if side == "train"}
        held = faces.group[(deal_folds(faces.group, 2, 0) == fold) & (faces.split == "train")]
        assert len(held)
        assert not seen & set(held.tolist())
    assert "agrees with" in capsys.readouterr().out

    before = (out / FILE_NAME).read_bytes()
    again = ["--network", "minimal", "--data", str(data), "--out", str(out)]
    assert out_of_fold([*again, "--epochs", "1"]) == 0
    assert "epoch 1" not in capsys.readouterr().out, "networks that are there are asked again, not trained again"
    assert (out / FILE_NAME).read_bytes() == before
    # Of three other folds a network has seen some of the faces; and other options and labels make another network.
    faces.smile[faces.smile >= 0] = 1 - faces.smile[faces.smile >= 0]
    faces.save(tmp_path / "relabelled.npz")
    relabelled = ["--epochs", "1", "--data", str(tmp_path / "relabelled.npz")]
    for other in (["--epochs", "1", "--folds", "3"], ["--epochs", "1", "--seed", "1"], ["--epochs", "2"], relabelled):
        assert out_of_fold([*again, *other]) == 2
        said = capsys.readouterr()
        assert "may have seen those that it would be asked about; choose another --out" in said.err
        assert said.err.count("\n") == 1
    assert (out / FILE_NAME).read_bytes() == before

    arguments = ["--network", "minimal", "--data", str(data), "--out", str(tmp_path / "taught"), "--epochs", "1"]
    assert train([*arguments, "--soft-labels", str(out / FILE_NAME), "--soft-share", "0.5"]) == 0
    made = json.loads((tmp_path / "taught" / "training.json").read_text())["stages"][-1]
    assert made["taught_share"] == 0.5
    assert list(made["labels_from"]) == [FILE_NAME]


def test_a_network_that_says_nothing_of_smiles_is_not_asked(capsys):
    with pytest.raises(SystemExit):
        out_of_fold(["--network", "keypoints"])
    assert "invalid choice: 'keypoints'" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--folds", "1"], ["--epochs", "0"], ["--data", "nowhere.npz"]])
def test_bad_options_are_one_sentence_and_code_2(options, capsys):
    assert out_of_fold(options) == 2
    assert capsys.readouterr().err.count("\n") == 1
