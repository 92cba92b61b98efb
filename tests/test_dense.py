"""A teacher's dense points and blendshapes: how they are read, kept, mirrored and learned."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from faces.detectors import create_detector
from smile_recognition import DEFAULT_MODEL, crop_face
from tests.drawn_faces import drawn_parts, drawn_set
from training.data.dense import MIRRORED_POINTS, MIRRORED_SHAPES, POINTS, SHAPES, Dense, FaceLandmarker
from training.data.faces import WIDE_BOX, WIDE_SIZE, Faces
from training.dense import main as dense_main
from training.fitting.plan import Plan, Taught
from training.train import main as train_main

TASK = Path("../shared/models/face_landmarker.task")


def made_up(faces: Faces, *, smiles: float = 0.5) -> Dense:
    """Points of a symmetric face, and shapes that are all different; silent about backgrounds."""
    drawn = np.random.default_rng(0).random((len(POINTS), 2))
    grid = ((drawn + drawn[MIRRORED_POINTS] * (-1, 1) + (1, 0)) / (2, 2)).astype(np.float16)
    shapes = np.tile(np.linspace(0, 1, len(SHAPES)).astype(np.float16), (len(faces), 1))
    shapes[:, [SHAPES.index("mouthSmileLeft"), SHAPES.index("mouthSmileRight")]] = smiles
    points = np.tile(grid, (len(faces), 1, 1))
    points[faces.face == 0], shapes[faces.face == 0] = np.nan, np.nan
    return Dense(points, shapes, faces.source, faces.name)


def test_in_a_mirror_left_and_right_change_places():
    named = [SHAPES[i] for i in MIRRORED_SHAPES]
    assert named[SHAPES.index("mouthSmileLeft")] == "mouthSmileRight"
    assert named[SHAPES.index("jawOpen")] == "jawOpen"
    assert (MIRRORED_SHAPES[MIRRORED_SHAPES] == np.arange(len(SHAPES))).all()
    for one, other in ((61, 291), (33, 263), (468, 473), (13, 13), (1, 1)):  # mouth, eyes, irises, upper lip, nose
        assert POINTS[MIRRORED_POINTS[POINTS.tolist().index(one)]] == other
    assert (MIRRORED_POINTS[MIRRORED_POINTS] == np.arange(len(POINTS))).all()


def test_what_is_kept_comes_back_in_the_order_of_the_faces(tmp_path):
    faces = drawn_set("mine", 6, 0)
    dense = made_up(faces)
    dense.shapes[:, 0] = np.arange(6) / 8
    dense.where(np.arange(6) < 3).save(tmp_path / "a.npz")
    dense.where(np.arange(6) == 4).save(tmp_path / "b.npz")
    order = np.array([4, 5, 0, 2])
    found = Dense.of_files([tmp_path / "a.npz", tmp_path / "b.npz"]).of(faces.where(order))
    assert found.shapes[[0, 2, 3], 0].tolist() == [0.5, 0, 0.25]
    assert np.isnan(found.shapes[1]).all(), "nobody said anything of it"
    assert np.isnan(found.points[1]).all()
    silent = dense.where(np.zeros(6, bool)).of(faces)
    assert np.isnan(silent.points).all()
    assert np.isnan(silent.shapes).all()


def test_a_file_of_other_or_damaged_arrays_has_no_dense_points(tmp_path):
    dense, path = made_up(drawn_set("mine", 6, 0)), tmp_path / "dense.npz"
    whole = {"points": dense.points, "shapes": dense.shapes, "source": dense.source, "name": dense.name}
    for other in ({"name": dense.name[:3]}, {"points": dense.points[:, :100]}, {"shapes": np.array(0.5)}):
        np.savez(path, **{**whole, **other})
        with pytest.raises(DatasetError, match="has no dense points"):
            Dense.load(path)
    np.savez_compressed(path, **whole)
    assert len(Dense.load(path).name) == 6
    packed = path.read_bytes()
    for damaged in (b"no", packed[:60] + bytes(byte ^ 0x5A for byte in packed[60:200]) + packed[200:]):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="has no dense points"):
            Dense.of_files([path])


def test_dense_points_of_other_faces_or_for_other_networks_are_refused(tmp_path, capsys):
    faces = drawn_parts()
    faces.save(tmp_path / "faces.npz")
    replace(made_up(faces), source=np.full(len(faces), "others")).save(tmp_path / "others.npz")
    command = [
        "--data",
        str(tmp_path / "faces.npz"),
        "--dense",
        str(tmp_path / "others.npz"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert train_main([*command, "--from-scratch"]) == 2
    assert "Of this dataset's training faces none is seen in" in capsys.readouterr().err
    assert train_main([*command, "--network", "lenet"]) == 2
    assert "--dense is for outputs that lenet does not have" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_only_faces_that_the_teacher_sees_have_dense_targets():
    from training.fitting.batches import make_targets

    faces = drawn_set("mine", 4, 0, backgrounds=1, measured=False)
    dense = made_up(faces)
    dense.points[1], dense.shapes[1] = np.nan, np.nan
    targets = make_targets(faces, guessed_weight=0.25, taught=Taught(np.full(5, np.nan), dense=dense))
    for name in ("mesh", "shapes"):
        assert targets.weight[name].tolist() == [1, 0, 1, 1, 0]
        assert np.isfinite(targets.value[name]).all()
    assert targets.weight["landmarks"].tolist() == [0.25, 0.25, 0.25, 0.25, 0], "too few tell how to place the teacher's"
    assert make_targets(faces).weight["mesh"].tolist() == [0] * 5, "without a teacher nothing is learned of it"


def test_landmarks_are_placed_by_what_the_teacher_and_dlib_say_together_or_by_nobody():
    from training.fitting.batches import make_targets

    n, unmeasured = 540, 20
    faces = drawn_set("mine", 1, 0).where(np.zeros(n, int))
    rng = np.random.default_rng(0)
    truth = rng.random((n, 5, 2)).astype(np.float32)
    dense = made_up(faces)
    dense.points[:, :5] = truth  # nothing else tells where the landmarks are
    dense.points[2], dense.shapes[2] = np.nan, np.nan
    landmarks, shape68 = truth.copy(), faces.shape68.copy()
    landmarks[:unmeasured], shape68[1] = np.nan, np.nan
    faces = replace(faces, landmarks=landmarks, shape68=shape68)
    targets = make_targets(faces, guessed_weight=0.25, taught=Taught(np.full(n, np.nan), dense=dense))
    assert targets.weight["landmarks"][:4].tolist() == [1, 0, 0.25, 1], "a face without dlib's points is not placed"
    assert (targets.weight["landmarks"][unmeasured:] == 3).all()
    error = np.abs(targets.value["landmarks"].reshape(n, 5, 2) - truth).max(axis=(1, 2))
    assert error[[0, *range(3, n)]].max() < 0.01
    assert error[2] > 0.05


@pytest.mark.parametrize(("smiles", "counted"), [(0.02, [False, True]), (0.4, [True, True]), (0.8, [True, False])])
def test_a_label_that_the_blendshapes_deny_does_not_count_where_a_set_names_expressions(smiles, counted):
    from training.fitting.batches import make_targets

    for source, expected in (("affect", counted), ("genki", [True, True])):
        faces = drawn_set(source, 2, 0)  # the first one smiles
        dense = made_up(faces, smiles=smiles)
        weight = make_targets(faces, taught=Taught(np.full(2, np.nan), dense=dense)).weight["smile"]
        assert (weight > 0).tolist() == expected


def test_points_and_shapes_follow_the_view_and_a_network_learns_them():
    import keras

    from training.fitting.batches import Batches, fit_scaler
    from training.fitting.fit import _compile, digest_of_all_that_matters
    from training.networks.network import NetworkConfig, build_network
    from training.networks.recipes import RECIPES

    faces = drawn_parts()
    faces = faces.where(faces.split == "train")
    dense = made_up(faces)
    taught = Taught(np.full(len(faces), np.nan), dense=dense)
    keras.utils.set_random_seed(0)
    model = build_network(NetworkConfig((4, 4, 4, 8)))
    recipe = replace(RECIPES["smile"], augmented=False)
    batches = Batches(faces, fit_scaler(faces.gray), tuple(model.output), recipe, seed=0, taught=taught)
    _, value, weight = batches[0]
    assert weight["mesh"].any()
    grid = np.nan_to_num(dense.points[0].astype(np.float32).ravel())
    plain = np.abs(value["mesh"] - grid).max(axis=1) < 1e-3
    seen = weight["mesh"] > 0
    assert plain[seen].all(), "a symmetric grid is the same in the mirror"
    shapes = dense.shapes[0].astype(np.float32)
    same = [np.allclose(row, shapes) for row in value["shapes"][seen]]
    mirrored = [np.allclose(row, shapes[MIRRORED_SHAPES]) for row in value["shapes"][seen]]
    assert all(np.logical_xor(same, mirrored))
    assert 0 < sum(mirrored) < seen.sum()
    _compile(model, recipe, steps=20)
    losses = [model.train_on_batch(*batches[0], return_dict=True) for _ in range(20)]
    assert losses[-1]["shapes_loss"] < losses[0]["shapes_loss"]
    plans = [Plan(recipe, taught=Taught(taught.smile, dense=one)) for one in (None, dense, made_up(faces, smiles=0.1))]
    assert len({digest_of_all_that_matters(faces, plan) for plan in plans}) == 3


def test_a_training_goes_on_with_a_network_from_before_these_outputs(tmp_path):
    from training.fitting.lineage import take_weights
    from training.fitting.progress import BEST
    from training.networks.network import NetworkConfig, build_network, part_with

    before, now = (build_network(NetworkConfig((4, 4, 4, 8))) for _ in range(2))
    part_with(before, ["smile", "landmarks", "shape68"]).save(tmp_path / BEST)
    mesh = now.get_layer("mesh").get_weights()[0]
    take_weights(now, tmp_path)
    for layer in ("conv2d", "shape68"):
        ours, theirs = (next(one for one in net.layers if one.name.startswith(layer)) for net in (now, before))
        assert np.array_equal(ours.get_weights()[0], theirs.get_weights()[0]), layer
    assert np.array_equal(now.get_layer("mesh").get_weights()[0], mesh), "it begins anew"
    part_with(before, ["mesh"]).save(tmp_path / BEST)
    for other in (part_with(now, ["smile"]), build_network(NetworkConfig((4, 4, 8, 8)))):
        with pytest.raises(DatasetError, match="is not a network of this kind"):
            take_weights(other, tmp_path)


def wide_crop(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face in a picture BGR as a dataset holds it: wide crop `(128, 128)` and gray `(64, 64)`."""
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    top, right, bottom, left = create_detector("face_recognition").detect(gray)[0]
    more = round((bottom - top) * (WIDE_SIZE - WIDE_BOX) / 2 / WIDE_BOX)
    whole = crop_face(gray, (top - more, right + more, bottom + more, left - more), WIDE_SIZE)
    return whole, crop_face(gray, (top, right, bottom, left))


@pytest.mark.skipif(not TASK.is_file(), reason="needs MediaPipe's face_landmarker.task, which is not in the project")
def test_the_teacher_sees_a_real_face_and_nothing_where_there_is_none(astronaut, tmp_path, capsys):
    wide, gray = wide_crop(astronaut)
    faces = drawn_set("mine", 3, 0, measured=False)
    flat = np.full_like(wide, 90)
    faces = replace(faces, wide=np.stack([wide, wide[:, ::-1], flat]), gray=np.stack([gray, gray[:, ::-1], gray]))
    faces.save(tmp_path / "faces.npz")
    assert dense_main(["--data", str(tmp_path / "faces.npz"), "--teacher", str(TASK)]) == 0
    assert "mine: 2 of 3 faces seen" in capsys.readouterr().out
    dense = Dense.load(tmp_path / "faces.dense.npz")
    assert dense.smiles[:2].min() > 0.5, "she smiles"
    assert np.isnan(dense.shapes[2]).all()
    eyes = dense.points[0].astype(float)[[POINTS.tolist().index(i) for i in (468, 473)]]
    assert 0.25 < abs(eyes[1, 0] - eyes[0, 0]) < 0.6
    assert (np.abs(eyes[:, 1] - 0.35) < 0.15).all()
    seen, in_the_mirror = dense.points[:2].astype(float)
    expected = seen[MIRRORED_POINTS] * (-1, 1) + (1, 0)
    error = np.linalg.norm(in_the_mirror - expected, axis=1)
    assert error.max() < 0.06
    assert error.mean() < 0.02
    shapes = dense.shapes[:2].astype(float)
    assert np.abs(shapes[1] - shapes[0][MIRRORED_SHAPES]).max() < 0.3
    other = replace(faces, split=np.full(3, "val"))
    other.save(tmp_path / "faces.npz")
    assert dense_main(["--data", str(tmp_path / "faces.npz"), "--teacher", str(TASK)]) == 2
    assert "has no training faces" in capsys.readouterr().err


def test_a_teacher_that_is_none_is_refused(tmp_path, capsys):
    drawn_set("mine", 2, 0).save(tmp_path / "faces.npz")
    task = tmp_path / "x.task"
    names = ("face_landmarks_detector.tflite", "face_blendshapes.tflite")
    network = DEFAULT_MODEL.read_bytes()
    for content in (b"no network" * 99, network):
        with zipfile.ZipFile(task, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)
        with pytest.raises(DatasetError, match="is not MediaPipe's"):
            FaceLandmarker(task)
    packed = task.read_bytes()
    for damaged in (b"no zip", packed[:70] + bytes(100) + packed[170:]):
        task.write_bytes(damaged)
        assert dense_main(["--data", str(tmp_path / "faces.npz"), "--teacher", str(task)]) == 2
        assert "is not MediaPipe's face_landmarker.task" in capsys.readouterr().err
