"""Faces seen through random views keep their points, and batches say what each output should say and how much it counts."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.drawn_faces import drawn_set
from training.data.faces import Faces
from training.data.reading import five_points, read_picture
from training.data.sources import Source
from training.fitting.augmentation import (
    MIRRORED_68,
    MIRRORED_LANDMARKS,
    View,
    look,
    missing_view,
    move_points,
    random_view,
    spoil,
)
from training.fitting.batches import Batches, fit_scaler, guessed_landmarks, make_targets, resized, sample_weights, scale
from training.networks.network import EXPRESSIONS
from training.networks.recipes import RECIPES

ALL = ("smile", "presence", "landmarks", "expression", "shape68")


def test_the_plain_view_changes_nothing():
    assert np.array_equal(View().matrix(), [[1, 0, 0], [0, 1, 0]])
    faces = drawn_set("mine", 5, 0)
    points = faces.landmarks[0]
    assert np.allclose(move_points(points, View(), MIRRORED_LANDMARKS), points)


def test_the_plain_view_of_a_wide_crop_is_the_crop_that_the_app_reads(astronaut):
    data = cv2.imencode(".png", astronaut[:300])[1].tobytes()
    read = read_picture(Source("mine"), "face.png", data)
    assert not isinstance(read, str)
    crop = read[0]
    assert np.abs(look(crop.wide, View()).astype(int) - crop.gray).mean() < 4
    small = cv2.resize(crop.gray, (28, 28), interpolation=cv2.INTER_AREA)
    assert np.abs(look(crop.wide, View(), 28).astype(int) - small).mean() < 6
    shifted = look(crop.wide, View(shift=(1 / 64, 0)))
    assert np.abs(look(crop.wide, View())[:, :-1].astype(int) - shifted[:, 1:]).mean() < 2, "a pixel to the right"


@pytest.mark.parametrize("size", [28, 64])
def test_a_dot_is_seen_where_its_point_was_moved_to(size):
    rng = np.random.default_rng(7)
    checked = 0
    for _ in range(200):
        view, point = random_view(rng), rng.uniform(0, 1, (1, 2))
        x, y = move_points(point, view, np.array([0]))[0] * size - 0.5
        if not (4 < x < size - 5 and 4 < y < size - 5):
            continue
        column, row = point[0] * 80 + 24 - 0.5  # the box of a wide crop starts at pixel 24 and is 80 wide
        distance2 = (np.arange(128)[None] - column) ** 2 + (np.arange(128)[:, None] - row) ** 2
        seen = look((255 * np.exp(-distance2 / 8)).astype(np.uint8), view, size).astype(float)
        found = (
            np.array([(seen.sum(axis=0) * np.arange(size)).sum(), (seen.sum(axis=1) * np.arange(size)).sum()]) / seen.sum()
        )
        assert np.hypot(*(found - (x, y))) < 1.5, view
        checked += 1
    assert checked > 60


def test_clockwise_and_right_and_larger_are_what_they_say():
    east = np.array([[0.9, 0.5]])
    one = np.array([0])
    assert np.allclose(move_points(east, View(angle=90), one), [[0.5, 0.9]]), "clockwise: from the right to below"
    assert np.allclose(move_points(east, View(shift=(0.1, 0.2)), one), [[1.0, 0.7]])
    assert np.allclose(move_points(east, View(scale=0.5), one), [[0.7, 0.5]])
    assert np.allclose(move_points(east, View(mirrored=True), one), [[0.1, 0.5]])


def test_mirrored_names_are_exchanged_left_for_right():
    for order, unpaired in ((MIRRORED_LANDMARKS, {2}), (MIRRORED_68, {8, 27, 28, 29, 30, 33, 51, 57, 62, 66})):
        assert np.array_equal(order[order], np.arange(len(order))), "twice mirrored is not mirrored"
        assert set(np.flatnonzero(order == np.arange(len(order))).tolist()) == unpaired
    shape = np.random.default_rng(0).random((68, 2))
    assert np.allclose(five_points(shape[MIRRORED_68]), five_points(shape)[MIRRORED_LANDMARKS])
    points = drawn_set("mine", 1, 0).landmarks[0]
    mirrored = move_points(points, View(mirrored=True), MIRRORED_LANDMARKS)
    assert mirrored[0, 0] < mirrored[1, 0], "the left eye is still the left one"
    assert mirrored[3, 0] < mirrored[4, 0]


def test_points_of_a_mirrored_face_are_those_that_dlib_finds_there(astronaut):
    face = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)[68:168, 175:275]
    shapes = []
    for picture in (face, np.ascontiguousarray(face[:, ::-1])):
        read = read_picture(Source("mine", cropped=True), "face.png", cv2.imencode(".png", picture)[1].tobytes())
        assert not isinstance(read, str)
        shapes.append(read[0].shape68)
    error = np.linalg.norm(move_points(shapes[0], View(mirrored=True), MIRRORED_68) - shapes[1], axis=1)
    assert error.mean() < 0.05


def test_a_missing_face_is_not_in_its_view():
    rng = np.random.default_rng(0)
    inside = (np.stack(np.meshgrid(np.arange(40), np.arange(40)), axis=-1).reshape(-1, 2) + 0.5) / 40
    for _ in range(300):
        moved = move_points(inside, missing_view(rng), np.arange(len(inside)))
        seen = ((moved > 0) & (moved < 1)).all(axis=1).mean()
        assert seen < 0.5, "half of it or less"


def test_random_views_are_mostly_upright_and_the_seed_decides():
    rng = np.random.default_rng(3)
    views = [random_view(rng) for _ in range(400)]
    angles = np.abs([view.angle for view in views])
    assert angles.max() <= 45
    assert (angles < 20).mean() > 0.7
    assert (angles > 25).mean() > 0.05
    assert 0.4 < np.mean([view.mirrored for view in views]) < 0.6
    rng = np.random.default_rng(3)
    assert views == [random_view(rng) for _ in range(400)]


@pytest.mark.parametrize("size", [28, 64, 100])
def test_a_spoiled_crop_keeps_its_shape_and_the_seed_decides(size):
    gray = resized(drawn_set("mine", 1, 0), size)[0]
    before = gray.copy()
    for seed in range(60):
        seen = spoil(gray, np.random.default_rng(seed))
        assert seen.shape == (size, size)
        assert seen.dtype == np.uint8
        assert np.array_equal(seen, spoil(gray, np.random.default_rng(seed)))
    assert np.array_equal(gray, before), "the original stays as it was"


def test_the_scaler_scales_training_faces_to_one():
    gray = drawn_set("mine", 30, 0).gray
    scaler = fit_scaler(gray)
    scaled = scale(scaler, gray)
    assert scaled.shape == (30, 64, 64, 1)
    assert scaled.dtype == np.float32
    assert scaled.min() == pytest.approx(0, abs=1e-5)
    assert scaled.max() == pytest.approx(1, abs=1e-5)
    assert np.allclose(scaler.transform(gray.reshape(30, -1)), scaled.reshape(30, -1), atol=1e-5)


def test_what_nobody_said_does_not_count():
    faces = drawn_set("mine", 4, 0, backgrounds=2, measured=False)
    smile, name = faces.smile.copy(), faces.name.copy()
    smile[1] = -1
    name[:4] = ["angry/0.png", "surprise/1.png", "smile/2.png", "test_Ann_3.png"]
    landmarks = faces.landmarks.copy()
    landmarks[3] = 0.25
    shape68 = faces.shape68.copy()
    shape68[2] = np.nan
    targets = make_targets(replace(faces, smile=smile, name=name, landmarks=landmarks, shape68=shape68), soften=False)
    assert targets.weight["smile"].tolist() == [1, 0, 1, 1, 0, 0]
    assert targets.weight["presence"].tolist() == [1] * 6
    assert targets.value["presence"][:, 0].tolist() == [1] * 4 + [0] * 2
    assert (targets.weight["expression"][:4] > 0).tolist() == [True, True, False, False]
    assert [EXPRESSIONS[i] for i in targets.value["expression"][:2].argmax(axis=1)] == ["anger", "surprise"]
    assert targets.weight["shape68"].tolist() == [1, 1, 0, 1, 0, 0]
    guessed, _, unknown, measured = targets.weight["landmarks"][:4]
    assert measured > guessed > unknown == 0
    assert targets.weight["landmarks"][4:].tolist() == [0, 0]
    assert (targets.value["landmarks"][3] == 0.25).all()
    assert np.allclose(targets.value["landmarks"][0].reshape(5, 2), five_points(shape68[0]))
    for output in ALL:
        assert np.isfinite(targets.value[output]).all()
        assert len(targets.value[output]) == len(targets.weight[output]) == 6


def test_labels_are_softened_by_the_noise_of_their_set():
    faces = Faces.join([drawn_set("getty_faces", 2, 0), drawn_set("genki", 2, 0)])
    smile = make_targets(faces).value["smile"][:, 0]
    assert smile[0] < smile[2] < 1
    assert smile[1] > smile[3] > 0
    assert make_targets(faces, soften=False).value["smile"][:, 0].tolist() == [1, 0, 1, 0]


def test_a_set_counts_by_the_root_of_its_size():
    weights = sample_weights(Faces.join([drawn_set("large", 90, 0, backgrounds=5), drawn_set("small", 10, 1)]))
    assert weights[:90].sum() / weights[95:].sum() == pytest.approx(3)
    assert weights[weights > 0].mean() == pytest.approx(1)
    assert (weights[90:95] == 0).all()
    assert not sample_weights(drawn_set("mine", 4, 0).where(np.zeros(4, bool))).size


@pytest.mark.parametrize(("both", "learnt"), [(520, True), (40, False)])
def test_guessed_landmarks_are_put_the_way_the_measured_ones_are(both, learnt):
    n = both + 30
    faces = drawn_set("mine", 1, 0).where(np.zeros(n, int))
    rng = np.random.default_rng(0)
    shape68 = (faces.shape68 + rng.normal(0, 0.05, (n, 1, 2)) + rng.normal(0, 0.02, (n, 68, 2))).astype(np.float32)
    offset = np.array([0.03, -0.04])
    landmarks = (five_points(shape68) + offset).astype(np.float32)
    truth = landmarks[both:].copy()
    landmarks[both:] = np.nan
    guess = guessed_landmarks(replace(faces, landmarks=landmarks, shape68=shape68))[both:]
    assert np.abs(guess - (truth if learnt else truth - offset)).mean() < 0.005


def equal(one, other) -> bool:
    """Two batches of pictures, targets and weights."""
    return np.array_equal(one[0], other[0]) and all(
        np.array_equal(one[part][name], other[part][name]) for part in (1, 2) for name in one[part]
    )


def batches_of(faces: Faces, outputs: tuple[str, ...] = ALL, **drawn) -> Batches:
    return Batches(faces, fit_scaler(faces.gray), outputs, replace(RECIPES["smile"], batch=32, **drawn), seed=5)


def test_a_resumed_epoch_has_the_batches_of_an_undisturbed_one():
    faces = drawn_set("mine", 60, 0, backgrounds=10)
    whole = batches_of(faces)
    first = [whole[i] for i in range(len(whole))]
    whole.on_epoch_end()
    resumed = batches_of(faces)
    resumed.start(1)
    assert len(resumed) == len(whole)
    assert all(equal(whole[i], resumed[i]) for i in reversed(range(len(whole)))), "in any order"
    assert not equal(first[0], whole[0]), "another epoch looks otherwise"


def test_an_epoch_has_every_face_and_a_share_of_backgrounds():
    faces = drawn_set("mine", 320, 0, backgrounds=100)
    batches = batches_of(faces, augmented=False)
    presence = np.concatenate([batches[i][1]["presence"][:, 0] for i in range(len(batches))])
    assert 0.08 < (presence == 0).mean() < 0.13
    assert len(presence) >= 320 * 1.12 - batches.batch
    few = batches_of(faces.where(np.arange(len(faces)) < 323), augmented=False)
    assert sum((few[i][1]["presence"] == 0).sum() for i in range(len(few))) <= 3
    none = batches_of(faces, ("smile",))
    assert len(none) == 320 // none.batch
    assert set(none[0][1]) == set(none[0][2]) == {"smile"}


def test_some_faces_are_shown_as_missing_and_then_only_presence_counts():
    batches = batches_of(drawn_set("mine", 320, 0))
    shown = [batches[i] for i in range(len(batches))]
    missing = np.concatenate([value["presence"][:, 0] == 0 for _, value, _ in shown])
    assert 0.02 < missing.mean() < 0.15
    for name in ALL:
        weights = np.concatenate([weight[name] for _, _, weight in shown])
        assert (weights[missing] == (name == "presence")).all()
        assert (weights[~missing] > 0).all()


def test_points_of_a_batch_lie_on_what_they_name():
    batches = batches_of(drawn_set("mine", 48, 0), augmented=False)
    assert batches.batch == 16, "a small set needs steps more than steady ones"
    mirrored = 0
    for i in range(len(batches)):
        x, value, _ = batches[i]
        assert x.shape == (16, 64, 64, 1)
        for picture, points in zip(x[..., 0], value["landmarks"].reshape(-1, 5, 2), strict=True):
            assert points[0, 0] < points[1, 0], "the left eye on the left"
            for px, py in np.floor(points[:2] * 64).astype(int):
                assert picture[py, px] < 0.2, "eyes are drawn black"
            mirrored += points[2, 0] > 0.5
    assert 5 < mirrored < 43


def test_a_network_of_another_size_gets_its_size_and_colors():
    faces = drawn_set("mine", 16, 0)
    recipe = replace(RECIPES["smile"], batch=16, size=28, color=True)
    batches = Batches(faces, fit_scaler(resized(faces, 28)), ("smile",), recipe, seed=0)
    color = batches[0][0]
    assert color.shape == (16, 28, 28, 3)
    assert (color[..., 0] == color[..., 2]).all()


def test_faces_shown_as_they_come_are_what_the_app_reads_or_its_mirror_image():
    faces = drawn_set("keypoints", 64, 4)
    scaler = fit_scaler(faces.gray)
    batches = Batches(faces, scaler, ("presence", "landmarks"), replace(RECIPES["smile"], plain_share=1.0), seed=0)
    as_read, in_the_mirror = (scale(scaler, gray)[..., 0] for gray in (faces.gray, faces.gray[:, :, ::-1]))
    seen = 0
    for index in range(len(batches)):
        x, value, weight = batches[index]
        for picture, points, presence in zip(
            x[..., 0], value["landmarks"].reshape(-1, 5, 2), value["presence"], strict=True
        ):
            straight = np.flatnonzero(np.abs(as_read - picture).max(axis=(1, 2)) < 1e-6)
            mirrored = np.flatnonzero(np.abs(in_the_mirror - picture).max(axis=(1, 2)) < 1e-6)
            assert len(straight) + len(mirrored) >= 1, "neither a face as it is nor its mirror image"
            expected = [faces.landmarks[i] for i in straight]
            expected += [faces.landmarks[i][MIRRORED_LANDMARKS] * (-1, 1) + (1, 0) for i in mirrored]
            assert min(np.abs(points - truth).max() for truth in expected) < 1e-5
            assert presence == 1
            seen += 1
        assert (weight["landmarks"] > 0).all()
    assert seen >= 48


def test_guessed_landmarks_count_as_much_as_is_said():
    faces = drawn_set("genki", 20, 1, measured=False)
    for weight in (0.4, 0.1):
        assert make_targets(faces, guessed_weight=weight).weight["landmarks"] == pytest.approx(weight)
