"""Positions that neither tremble nor lag; a probability whose label does not flicker."""

from itertools import pairwise

import numpy as np
import pytest

from faces.smoothing import OneEuroFilter, SmoothedSmile
from smile_recognition import SMILE_THRESHOLD

FRAME = 1 / 30


def test_resting_points_are_calmed():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (5, 2))
    steady = OneEuroFilter()
    seen = [steady(points + rng.normal(0, 1, points.shape), FRAME, unit=100) for _ in range(200)]
    assert np.std(seen[50:], axis=0).mean() < 0.5, "half of the noise at most"
    assert np.abs(np.mean(seen[50:], axis=0) - points).max() < 0.3


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_moving_points_do_not_lag(speed):
    steady = OneEuroFilter()
    for i in range(60):
        true = np.full((5, 2), 100 * speed * i * FRAME)
        seen = steady(true, FRAME, unit=100)
    assert np.abs(seen - true).max() < 20, "a fifth of a face"
    assert np.abs(seen - true).max() < 100 * speed * FRAME * 2.5, "or two frames and a half"


def test_the_first_points_and_those_after_a_reset_are_taken_as_they_are():
    steady = OneEuroFilter()
    first, second = np.zeros((5, 2)), np.full((5, 2), 50.0)
    assert (steady(first, FRAME) == first).all()
    steady.reset()
    assert (steady(second, FRAME) == second).all()
    assert (steady(first, 0.0) == first).all(), "no time has passed: nothing to smooth over"


def test_the_probability_follows_within_a_tenth_of_a_second_or_two():
    smile = SmoothedSmile()
    assert smile(0.02, 0.0) == 0.02
    for _ in range(6):
        value = smile(0.98, FRAME)
    assert value > 0.85
    for _ in range(6):
        value = smile(0.02, FRAME)
    assert value < 0.15


def test_a_face_between_two_expressions_does_not_flicker():
    smile = SmoothedSmile()
    values = [smile(0.5 + 0.04 * (-1) ** i, FRAME) for i in range(60)]
    labels = [value >= SMILE_THRESHOLD for value in values]
    assert sum(a != b for a, b in pairwise(labels)) <= 1
    smile = SmoothedSmile()
    smile(0.1, 0.0)
    values = [smile(0.5 + 0.05 * np.sin(i / 5), FRAME) for i in range(200)]
    assert max(values) < SMILE_THRESHOLD, "the label says what the number says"
    assert [smile(0.95, FRAME) for _ in range(20)][-1] > 0.85, "but a smile is a smile"


def frames_until(smile, raw, changed):
    """How many frames of `raw` it takes until the label is `changed`; 200 if it never is."""
    return next((i for i in range(1, 200) if (smile(raw, FRAME) >= SMILE_THRESHOLD) == changed), 200)


def test_the_clearer_a_smile_the_sooner_it_is_believed():
    frames = []
    for raw in (0.99, 0.9, 0.75, 0.65):
        smile = SmoothedSmile()
        for _ in range(30):
            smile(0.05, FRAME)
        frames.append(frames_until(smile, raw, True))
    assert frames == sorted(frames)
    assert frames[0] <= 3
    assert frames[0] < frames[2] < frames[3] < 30


def test_one_wrong_frame_changes_no_label():
    smile = SmoothedSmile()
    for _ in range(30):
        smile(0.05, FRAME)
    assert smile(0.99, FRAME) < SMILE_THRESHOLD
    assert smile(0.05, FRAME) < SMILE_THRESHOLD


def test_a_face_whose_neutral_reads_as_half_a_smile_rests_and_can_still_smile():
    smile = SmoothedSmile()
    values = [smile(0.56 + 0.06 * np.sin(i), FRAME) for i in range(90)]
    assert max(values[30:]) < SMILE_THRESHOLD
    assert frames_until(smile, 0.93, True) <= 8
    assert frames_until(smile, 0.56, False) <= 15


def test_whoever_smiles_from_the_first_frame_is_not_taken_for_neutral():
    smile = SmoothedSmile()
    assert all(smile(0.9 + 0.05 * np.sin(i), FRAME) >= SMILE_THRESHOLD for i in range(900))


def test_after_a_long_time_only_the_present_counts():
    smile = SmoothedSmile()
    smile(0.9, 0.0)
    assert smile(0.1, 10.0) == pytest.approx(0.1)


def test_the_neutral_is_where_a_face_rests_and_a_smile_hardly_moves_it():
    smile = SmoothedSmile()
    for _ in range(60):
        smile(0.1, FRAME)
    assert smile.neutral == pytest.approx(0.1, abs=0.01)
    rested = smile.neutral
    for _ in range(300):
        smile(0.97, FRAME)
    assert smile.neutral - rested < 0.05
    for _ in range(30):
        smile(0.1, FRAME)
    assert smile.neutral < 0.15


@pytest.mark.parametrize("raw", [0.7, 0.8, 0.9, 0.95])
def test_a_smile_that_is_held_does_not_fade(raw):
    smile = SmoothedSmile()
    for _ in range(60):
        smile(0.05, FRAME)
    values = [smile(raw, FRAME) for _ in range(600)]
    assert min(values[30:]) > raw - 0.02


def test_a_face_that_comes_to_rest_at_half_a_smile_is_neutral_in_the_end():
    smile = SmoothedSmile()
    for _ in range(60):
        smile(0.05, FRAME)
    assert 20 < frames_until(smile, 0.56, True) < 60
    assert frames_until(smile, 0.56, False) < 150, "it has turned its head, and does not smile"
