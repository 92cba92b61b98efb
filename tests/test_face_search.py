"""The thread that searches whole frames: how often it may, and that leaning faces come out of it as such."""

import time

import numpy as np
import pytest

from common.face import Box
from faces.detection import Candidate
from faces.search import FaceSearch

FRAME = np.zeros((48, 64, 3), np.uint8)


class Working:
    """A detector that takes so much of the processor's time, however busy the computer is."""

    name = "working"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def load(self):
        pass

    def detect(self, image, *, min_face=40.0):
        end = time.thread_time() + self.seconds
        while time.thread_time() < end:
            pass
        return [Box(1, 21, 21, 1)]


class Leaning(Working):
    def candidates(self, image, *, min_face=40.0):
        return [Candidate(box, 70.0) for box in self.detect(image)]


def searched(detector, **options) -> FaceSearch:
    search = FaceSearch(detector, **options)
    assert search.ask(FRAME, 0.0, pause=0.0)
    deadline = time.monotonic() + 30
    while search.busy and time.monotonic() < deadline:
        time.sleep(0.001)
    return search


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 0.03), (0.06, 0.25)])
def test_a_detector_is_asked_as_often_as_it_is_cheap(seconds, pause):
    search = searched(Working(seconds))
    assert search.pause == pause
    search.close()


def test_before_the_first_search_and_offline_nothing_depends_on_the_computer():
    assert FaceSearch(Working(0.0)).pause == 0.25
    assert searched(Working(0.0), at_once=True).pause == 0.25


def test_the_lean_of_a_face_comes_out_of_a_search():
    upright, leaning = searched(Working(0.0), at_once=True), searched(Leaning(0.0), at_once=True)
    assert upright.take() == [Candidate(Box(1, 21, 21, 1), 0.0)]
    assert leaning.take() == [Candidate(Box(1, 21, 21, 1), 70.0)]
