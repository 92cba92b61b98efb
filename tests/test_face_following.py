"""The same face in the next picture, by the network alone."""

import cv2
import numpy as np
import pytest

from common.face import Box
from faces.alignment import align
from faces.following import distance, follow, is_surely_a_face, look, may_be_a_face, misfit
from smile_recognition import SmileRecognizer

FACE = Box(73, 276, 165, 184)


@pytest.fixture(scope="module")
def recognizer() -> SmileRecognizer:
    return SmileRecognizer()


@pytest.fixture(scope="module")
def gray(astronaut) -> np.ndarray:
    return cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)


def test_a_face_is_seen_with_all_that_is_known_of_it(gray, recognizer):
    sight = look(gray, FACE, 0.0, recognizer)
    assert sight.present
    assert sight.presence > 0.9
    assert sight.smile > 0.7
    assert sight.box.iou(FACE) > 0.5
    assert abs(sight.box.width - sight.box.height) <= 1, "square, but for rounding"


def test_following_a_still_face_stays_where_it_is(gray, recognizer):
    sight = look(gray, FACE, 0.0, recognizer)
    first = sight.box
    for _ in range(100):
        sight = follow(gray, sight.points, recognizer)
        assert sight.present
    assert distance(sight.box, first) < 0.1
    assert 0.9 < sight.box.height / first.height < 1.1


def test_a_face_a_quarter_of_its_size_further_is_found_by_a_second_look(gray, recognizer):
    here = look(gray, FACE, 0.0, recognizer)
    beside = follow(gray, here.points + 0.25 * FACE.height, recognizer)
    assert beside.present
    assert distance(beside.box, here.box) < 0.08


def test_where_no_face_is_none_is_seen(gray, recognizer):
    landmarks = look(gray, FACE, 0.0, recognizer).points
    for shift in ((0, 250), (-150, 100), (5000, 0), (0, -5000)):
        assert not follow(gray, landmarks + shift, recognizer).present
    assert not follow(np.full_like(gray, 90), landmarks, recognizer).present


def test_landmarks_that_no_face_has_are_no_face(gray, recognizer):
    landmarks = look(gray, FACE, 0.0, recognizer).points
    box, angle = align(landmarks)
    assert misfit(landmarks, box, angle) < 0.1
    upside_down = landmarks[[3, 4, 2, 0, 1]]
    assert misfit(upside_down, *align(upside_down)) > 0.17


@pytest.mark.parametrize(
    "points", [np.full((5, 2), np.nan), np.full((5, 2), np.inf), np.full((5, 2), 1e12), np.zeros((5, 2))]
)
def test_numbers_that_mean_nothing_are_no_face(gray, recognizer, points):
    assert not follow(gray, points, recognizer).present


def test_what_one_network_doubts_must_be_clear_to_the_other(gray, recognizer):
    sure, doubtful, hardly = 0.9, 0.5, 0.3  # a detector's scores
    assert [may_be_a_face(0.92, score) for score in (sure, doubtful, hardly, None)] == [True, False, False, False]
    assert [may_be_a_face(0.9999, score) for score in (sure, doubtful, hardly, None)] == [True, True, True, True]
    assert not may_be_a_face(1.0, 0.01), "however sure one of them is"
    assert not may_be_a_face(0.5, 1.0)
    face = look(gray, FACE, 0.0, recognizer)
    assert is_surely_a_face(gray, face, recognizer, hardly)
    beside = look(gray, Box(280, 480, 372, 388), 0.0, recognizer)
    assert not is_surely_a_face(gray, beside, recognizer, sure)
