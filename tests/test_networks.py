"""The network before it has learnt anything, how it is judged on the way, and what is set right at the end."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.errors import SettingsError
from smile_recognition import OUTPUTS
from tests.drawn_faces import drawn_set, every_kind_of_set
from tests.small_network import SIZES, build_small
from training.data.faces import Faces
from training.fitting import finish, progress
from training.fitting.augmentation import spoilt
from training.fitting.batches import fit_scaler, scale
from training.fitting.plan import Plan
from training.fitting.precision import require_precision
from training.networks import recipes
from training.networks.network import PictureNormalization, build_network, shipped_part

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faces() -> Faces:
    return every_kind_of_set()


def test_the_network_has_the_outputs_it_promises():
    network = build_network()
    assert {name: output.shape for name, output in network.output.items()} == {name: (None, n) for name, n in SIZES.items()}
    shipped = shipped_part(network)
    assert tuple(shipped.output) == tuple(OUTPUTS)
    assert shipped.count_params() < network.count_params()
    assert shipped.count_params() < 1_000_000
    scaled = np.random.default_rng(0).random((3, 64, 64, 1), np.float32)
    whole, part = network.predict(scaled, verbose=0), shipped.predict(scaled, verbose=0)
    for name in OUTPUTS:
        assert part[name].shape == (3, SIZES[name])
        assert np.allclose(part[name], whole[name], atol=1e-6)
    for name in ("landmarks", "shape68", "mesh"):
        assert np.abs(whole[name] - 0.5).max() < 0.3, "points begin near the middle of the crop"


def test_brightness_and_contrast_of_a_picture_are_taken_away():
    layer = PictureNormalization()
    scaled = np.random.default_rng(0).random((4, 64, 64, 1), np.float32)
    seen = np.asarray(layer(scaled))
    assert np.allclose(seen.mean(axis=(1, 2, 3)), 0, atol=1e-3)
    assert np.allclose(seen.std(axis=(1, 2, 3)), 1, atol=0.01)
    assert np.abs(np.asarray(layer(scaled * 0.5 + 0.3)) - seen).max() < 0.02
    for level in (0.0, 0.5, 1.0):
        assert np.abs(np.asarray(layer(np.full((1, 64, 64, 1), level, np.float32)))).max() < 1e-3


def test_a_network_of_known_answers_is_judged_by_them(faces, tmp_path):
    """Figures after an epoch are what a network that answers alike for every face must get, and one that knows all."""
    scaler = fit_scaler(faces.gray)
    judged = progress.TrainingProgress(tmp_path, "", Plan(recipes.RECIPES["smile"], patience=1), faces, scaler)
    always_yes = constant_network(smile=4.0, presence=-4.0)
    labelled = faces.smile >= 0
    shares = [(faces.smile[labelled & (faces.source == s)] == 1).mean() for s in ("genki", "getty_faces", "smiles")]
    figures = judged.judge(always_yes)
    assert figures["val"] == figures["spoilt"] == pytest.approx(np.mean(shares))
    assert figures["presence"] == pytest.approx((faces.face == 0).mean())
    measured = ~np.isnan(faces.landmarks).any(axis=(1, 2))
    middle = np.full((measured.sum(), 5, 2), 0.5)
    assert figures["point_error"] == pytest.approx(progress.point_error(middle, faces.landmarks[measured]).mean(), rel=1e-4)


def test_the_epoch_is_chosen_by_faces_as_they_are_and_by_spoilt_ones(faces, tmp_path):
    scaler = fit_scaler(faces.gray)
    judged = progress.TrainingProgress(tmp_path, "", Plan(recipes.RECIPES["smile"], patience=2), faces, scaler)
    assert judged.best() == -1
    judged.history = [{"val": val, "spoilt": worse} for val, worse in ((0.9, 0.8), (0.88, 0.85), (0.92, 0.7))]
    assert (judged.best(), judged.finished()) == (1, False)
    judged.history += [{"val": 0.88, "spoilt": 0.84}]
    assert judged.finished()
    plain = progress.TrainingProgress(tmp_path, "", Plan(recipes.RECIPES["minimal"], patience=1), faces, scaler)
    assert "spoilt" not in plain.judge(constant_network(smile=4.0, presence=-4.0))


def test_spoilt_crops_are_alike_at_every_call_and_differ_from_the_faces_as_they_are(faces):
    once, again = (spoilt(faces.wide, 64) for _ in range(2))
    assert np.array_equal(once, again)
    assert np.abs(once.astype(float) - faces.gray).mean(axis=(1, 2)).min() > 0.5
    assert spoilt(faces.wide, 28, 0.5).shape == (len(faces), 28, 28)


def constant_network(**logits: float) -> keras.Model:
    """Answers the same whatever it is shown: these logits, and points in the middle of the crop."""
    inputs = keras.Input((64, 64, 1), name="scaled")
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    values = {"smile": logits["smile"], "presence": logits["presence"], "landmarks": 0.5}
    return keras.Model(
        inputs,
        {
            name: keras.layers.Dense(
                SIZES[name], kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(value), name=name
            )(x)
            for name, value in values.items()
        },
    )


def test_landmarks_are_moved_by_what_the_measured_ones_lie_to_one_side(tmp_path):
    measured = drawn_set("keypoints", 600, 4)
    moved = replace(measured, landmarks=measured.landmarks + np.float32([0.02, -0.01]))
    scaler = fit_scaler(measured.gray)

    def mean_error(model: keras.Model) -> np.ndarray:
        points = model.predict(scale(scaler, moved.gray), batch_size=256, verbose=0)["landmarks"].reshape(-1, 5, 2)
        return (points - moved.landmarks).mean(axis=0)

    model = build_small()
    assert np.abs(mean_error(model)).max() > 0.01
    finish.center_landmarks(model, moved, scaler)
    assert np.abs(mean_error(model)).max() < 1e-3
    few = build_small()
    before = mean_error(few)
    finish.center_landmarks(few, moved.where(np.arange(100)), scaler)
    assert np.abs(mean_error(few) - before).max() < 1e-6, "a hundred faces are too few to tell"


def test_where_short_floats_can_not_be_computed_it_is_said_before_any_training(monkeypatch):
    def abort(*_):
        raise tf.errors.AbortedError(None, None, "could not create a primitive descriptor")

    monkeypatch.setattr(tf.nn, "conv2d", abort)
    require_precision("float32")
    with pytest.raises(SettingsError, match="leave out --precision"):
        require_precision("mixed_bfloat16")


def test_temperature_makes_overconfident_logits_probabilities():
    logits = np.random.default_rng(0).normal(0, 2, 20_000)
    labels = (np.random.default_rng(1).random(20_000) < 1 / (1 + np.exp(-logits))).astype(int)
    assert finish.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.05)
    assert finish.fit_temperature(logits, labels) == pytest.approx(1, rel=0.05)


def test_point_error_is_in_distances_between_the_eyes():
    truth = np.array([[[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.4, 0.8], [0.6, 0.8]]])
    assert progress.point_error(truth, truth)[0] == 0
    assert progress.point_error(truth + np.array([0.04, 0]), truth)[0] == pytest.approx(0.1)
