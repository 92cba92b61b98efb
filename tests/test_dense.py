"""A teacher's dense points and blendshapes: how they are read, kept, mirrored and learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DatasetError
from faces.detectors import create_detector
from smile_recognition import crop_face
from tests.drawn_faces import drawn_parts, drawn_set
from training.data.dense import MIRRORED_SHAPES, POINTS, SHAPES, Dense
from training.data.faces import WIDE_BOX, WIDE_SIZE, Faces
from training.dense import main as dense_main
from training.fitting.plan import Plan, Taught
from training.join import join
from training.join import main as join_main

TASK = Path("../shared/models/face_landmarker.task")


def made_up(faces: Faces, *, smiles: float = 0.5) -> Dense:
    """Points on a symmetric grid, and shapes that are all different; silent about backgrounds."""
    rng = np.random.default_rng(0)
    half = rng.random((len(POINTS) // 2, 2)) * (0.45, 1)
    grid = np.concatenate([half, half * [-1, 1] + [1, 0]]).astype(np.float16)
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
    dense = made_up(drawn_set("mine", 4, 0))
    half = len(POINTS) // 2
    assert dense.mirrored_points.tolist() == [*range(half, 2 * half), *range(half)]


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
    (tmp_path / "a.npz").write_bytes(b"no")
    with pytest.raises(DatasetError, match="has no dense points"):
        Dense.of_files([tmp_path / "a.npz"])


def test_only_faces_that_the_teacher_sees_have_dense_targets():
    from training.fitting.batches import make_targets

    faces = drawn_set("mine", 4, 0, backgrounds=1, measured=False)
    dense = made_up(faces)
    dense.points[1], dense.shapes[1] = np.nan, np.nan
    targets = make_targets(faces, guessed_weight=0.25, taught=Taught(np.full(5, np.nan), dense=dense))
    for name in ("mesh", "shapes"):
        assert targets.weight[name].tolist() == [1, 0, 1, 1, 0]
        assert np.isfinite(targets.value[name]).all()
    assert targets.weight["landmarks"].tolist() == [1, 0.25, 1, 1, 0]
    assert make_targets(faces).weight["mesh"].tolist() == [0] * 5, "without a teacher nothing is learned of it"


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
    order = [POINTS.tolist().index(i) for i in (61, 291)]
    mouth, mirror = dense.points[0][order].astype(float), dense.points[1][order].astype(float)
    assert np.allclose(mirror[:, 0], 1 - mouth[::-1, 0], atol=0.04)


def test_a_teacher_that_is_none_is_refused(tmp_path, capsys):
    drawn_set("mine", 2, 0).save(tmp_path / "faces.npz")
    (tmp_path / "x.task").write_bytes(b"no zip")
    assert dense_main(["--data", str(tmp_path / "faces.npz"), "--teacher", str(tmp_path / "x.task")]) == 2
    assert "is not MediaPipe's face_landmarker.task" in capsys.readouterr().err


def test_joined_datasets_keep_parts_and_copies_follow(tmp_path, capsys):
    first = replace(drawn_set("one", 6, 0), split=np.array(["train", "val", "test"] * 2))
    other = replace(drawn_set("two", 4, 1), split=np.array(["train"] * 4))
    gray = other.gray.copy()
    gray[0] = first.gray[1]  # a copy of a validation face
    gray[1], gray[2] = first.gray[0], first.gray[2]  # one group of two, tied to two parts
    other = replace(other, gray=gray, group=np.array([0, 1, 1, 2]))
    whole = join(first, other)
    assert whole.split.tolist() == [*first.split, "val", "train"]
    assert whole.name[6:].tolist() == [other.name[0], other.name[3]]
    assert whole.group[:6].tolist() == first.group.tolist()
    assert not set(whole.group[6:]) & set(first.group), "the numbers of the others are new"
    first.save(tmp_path / "first.npz")
    other.save(tmp_path / "other.npz")
    assert (
        join_main([*(str(tmp_path / f"{name}.npz") for name in ("first", "other")), "--out", str(tmp_path / "all.npz")]) == 0
    )
    assert "2 of 4 left out; train 1, val 1, test 0" in capsys.readouterr().out
    assert Faces.load(tmp_path / "all.npz").split.tolist() == whole.split.tolist()
    assert join_main([str(tmp_path / "all.npz"), str(tmp_path / "other.npz"), "--out", str(tmp_path / "no.npz")]) == 2
    assert "Both datasets hold two" in capsys.readouterr().err
