"""Figures and intervals against hand-made ones and scikit-learn's, and faces that are made harder to read."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from smile_recognition import LANDMARKS, SmileRecognizer
from tests.drawn_faces import drawn_parts
from training.data.faces import Faces
from training.fitting.augmentation import View, look, move_points
from training.judging import scores


@pytest.fixture(scope="module")
def faces() -> Faces:
    return drawn_parts()


# --- measures ---


def test_wilson_s_interval_is_as_published():
    assert scores.wilson_interval(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert scores.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    low, high = scores.wilson_interval(10, 10)
    assert 0.6 < low < high <= 1


def test_the_interval_by_groups_widens_when_faces_come_in_groups():
    right = np.random.default_rng(0).random(400) < 0.9
    alone = scores.grouped_interval(right, np.arange(400))
    assert alone == pytest.approx(scores.wilson_interval(int(right.sum()), 400), abs=0.012)
    low, high = scores.grouped_interval(np.repeat(right, 5), np.repeat(np.arange(400), 5))
    assert (low, high) == alone, "copies add no knowledge"
    assert scores.grouped_interval(right, np.arange(400)) == alone, "seeded"
    assert all(math.isnan(value) for value in scores.grouped_interval(right, np.zeros(400)))


def test_calibration_error_is_the_mean_gap_between_said_and_seen():
    smile = np.array([1, 0, 1, 0])
    assert scores.calibration_error(smile, np.array([0.5, 0.5, 0.5, 0.5])) == 0
    assert scores.calibration_error(smile, np.array([1.0, 0, 1, 0])) == 0
    assert scores.calibration_error(smile, np.array([0.0, 1, 0, 1])) == 1
    assert scores.calibration_error(smile, np.array([0.9, 0.2, 0.9, 0.2])) == pytest.approx(0.15)
    table = scores.reliability(smile, np.array([0.9, 0.2, 0.9, 0.4]), bins=2)
    assert table == {"predicted": [pytest.approx(0.3), pytest.approx(0.9)], "observed": [0, 1], "count": [2, 2]}
    assert math.isnan(scores.reliability(smile, np.full(4, 0.9), bins=2)["predicted"][0])


def test_few_faces_have_a_calibration_error_by_chance_which_fades_with_their_number():
    said = np.full(40, 0.5)
    few, many = (scores.calibration_error_by_chance(np.tile(said, times)) for times in (1, 100))
    assert few == pytest.approx(np.sqrt(0.5 / np.pi / 40), abs=0.01), "the mean distance of 40 throws' mean from its own"
    assert many < few / 5
    assert scores.calibration_error_by_chance(np.array([0.0, 1.0])) == 0


def test_smile_figures_equal_scikit_learn_s():
    rng = np.random.default_rng(4)
    smile = rng.integers(0, 2, 200).astype(np.int8)
    probability = np.clip(rng.normal(0.35 + 0.3 * smile, 0.25), 0, 1).astype(np.float32)
    figures = scores.smile_figures(smile, probability, np.arange(200) // 4)
    decided = probability >= 0.5
    assert figures["accuracy"] == pytest.approx((decided == smile).mean())
    assert figures["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(smile, decided))
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(smile, probability))
    assert (figures["faces"], figures["groups"]) == (200, 50)
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
    assert figures["accuracy_grouped_low"] < figures["accuracy"] < figures["accuracy_grouped_high"]
    order = ("no_smile_read_as_no_smile", "no_smile_read_as_smile", "smile_read_as_no_smile", "smile_read_as_smile")
    assert [figures["confusion"][name] for name in order] == confusion_matrix(smile, decided).ravel().tolist()


def test_what_one_class_can_t_say_is_null():
    figures = scores.plain(scores.smile_figures(np.ones(4, np.int8), np.array([0.2, 0.7, 0.8, 0.9]), np.zeros(4)))
    assert figures["accuracy"] == 0.75
    assert figures["roc_auc"] is figures["balanced_accuracy"] is figures["accuracy_grouped_low"] is None
    json.dumps(figures, allow_nan=False)
    presence = scores.plain(scores.presence_figures(np.ones(3), np.array([0.2, 0.95, 0.99])))
    assert presence["roc_auc"] is presence["false_positive_share"] is None
    assert presence["missed_share"] == pytest.approx(1 / 3, abs=1e-6)


def test_landmark_errors_are_in_distances_between_the_eyes():
    truth = np.array([[[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.4, 0.7], [0.6, 0.7]]] * 2)
    points = truth.copy()
    points[1, 2] += (0.0, 0.4)  # the nose of the second face, one distance between the eyes too low
    figures = scores.landmark_figures(points, truth, np.arange(2))
    assert figures["mean"] == pytest.approx(0.1)
    assert figures["median"] == pytest.approx(0.1)
    assert figures["share_over_10_percent"] == 0.5
    assert figures["mse"] == pytest.approx(0.4**2 / 20)
    assert figures["points"]["nose"] == {"mean": pytest.approx(0.5), "mse": pytest.approx(0.4**2 / 4)}
    assert figures["points"]["left_eye"] == {"mean": 0, "mse": 0}
    assert tuple(figures["points"]) == LANDMARKS


def test_presence_counts_both_kinds_of_error():
    figures = scores.presence_figures(np.array([1, 1, 1, 1, 0, 0]), np.array([0.99, 0.98, 0.95, 0.1, 0.97, 0.2]))
    assert figures["missed_share"] == 0.25
    assert figures["false_positive_share"] == 0.5
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["roc_auc"] == pytest.approx(5 / 8)


def test_photos_of_no_part_count_as_much_as_the_part_has_of_the_set():
    dealt = [(True, 1)] * 7 + [(True, 3), (False, 1), (False, 0)]
    figures = scores.photo_figures(dealt, [(False, 0)] * 4 + [(True, 1)], weight=0.2)
    assert figures["accuracy"] == pytest.approx(8.2 / 11)
    assert figures["missed_share"] == pytest.approx(1.8 / 11)
    assert figures["accuracy_where_found"] == pytest.approx(8 / 9)
    assert (figures["photos"], figures["without_face"], figures["without_face_found"]) == (10, 5, 1)
    assert figures["several_faces"] == 1
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
    assert math.isnan(scores.photo_figures([(False, 0)], [], 0.1)["accuracy_where_found"])


# --- harder faces ---


@pytest.mark.parametrize("kind", scores.HARDSHIPS)
def test_the_first_strength_changes_nothing_and_more_changes_more(kind, faces):
    hardship = scores.HARDSHIPS[kind]
    noise = np.random.default_rng(0).standard_normal((64, 64), np.float32)
    changes = []
    for strength in hardship.strengths:
        harder = hardship.apply(faces.gray[0], strength, noise)
        assert (harder.shape, harder.dtype) == ((64, 64), np.uint8)
        changes.append(np.abs(harder.astype(int) - faces.gray[0]).mean())
    assert changes[0] == 0
    assert all(less < more for less, more in pairwise(changes))


@pytest.mark.parametrize("angle", scores.ANGLES)
def test_a_turned_face_leans_as_its_eyes_say_and_its_middle_is_the_crop(angle, faces):
    upright = faces.landmarks[:1].astype(float)
    upright[0, 1, 1] = upright[0, 0, 1]
    leaning = move_points(upright[0], View(angle=angle), np.arange(5))
    assert scores.eye_tilt(leaning[None])[0] == pytest.approx(angle)
    turned = scores.turned(faces.wide[0], angle)
    assert turned.shape == (96, 96)
    crop = look(faces.wide[0], View(angle=angle)).astype(int)
    assert np.abs(turned[16:80, 16:80] - crop).mean() < 0.5, "the first look sees what training saw, to a 32nd of a pixel"


def test_a_second_look_at_a_leaning_face_sees_it_upright(faces):
    """With true landmarks in place of the network's."""
    seen = []

    class Recognizer(SmileRecognizer):
        def _run(self, crop):
            seen.append(crop)
            outputs = super()._run(crop).copy()
            outputs[2:] = move_points(faces.landmarks[0], View(angle=30), np.arange(5)).ravel()
            return outputs

    lean = scores.eye_tilt(faces.landmarks[:1])[0]
    scores.read_aligned(Recognizer(), scores.turned(faces.wide[0], 30), (16, 80, 80, 16))
    upright = look(faces.wide[0], View(angle=-float(lean))).astype(int)
    first, second = (np.abs(crop[8:56, 8:56] - upright[8:56, 8:56]).mean() for crop in seen)
    assert second < 6 < first


def test_curves_hold_a_share_for_every_strength_and_draw_the_same_faces_again(faces):
    recognizer = SmileRecognizer()
    some = faces.labelled().part("val")
    curves = scores.robustness(recognizer, some, most=5)
    assert curves["faces"] == {"mine": 5, "yours": 5}
    for kind in (*scores.HARDSHIPS, "rotation"):
        assert {len(shares) for shares in curves[kind]["accuracy"].values()} == {len(curves[kind]["strengths"])}
    assert set(curves["rotation"]["aligned"]) == {"mine", "yours"}
    assert scores.robustness(recognizer, some, most=5) == curves
