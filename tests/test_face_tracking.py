"""Faces of the app's camera: ids, boxes and searches, as fast as the computer is."""

import cv2
import numpy as np
import pytest

from common.errors import DetectorError
from common.face import Box
from faces.detectors import create_detector
from faces.tracking import FaceTracker
from smile_recognition import SmileRecognizer
from tests.tracked import head, run, wait_for_search

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recognizer() -> SmileRecognizer:
    return SmileRecognizer()


@pytest.fixture
def tracker(recognizer):
    face_tracker = FaceTracker(create_detector("face_recognition"), recognizer)
    yield face_tracker
    face_tracker.close()


def moved(astronaut, dx, dy=0):
    return cv2.warpAffine(astronaut, np.float32([[1, 0, dx], [0, 1, dy]]), (512, 400), borderMode=cv2.BORDER_REPLICATE)


def test_a_moving_face_keeps_its_id_and_its_box_follows(tracker, astronaut):
    shifts = [round(60 * np.sin(i / 10)) for i in range(60)]
    faces = run(tracker, [moved(astronaut, dx) for dx in shifts])
    assert all(len(found) == 1 for found in faces[2:])
    assert {found[0].id for found in faces[2:]} == {1}
    offsets = [found[0].box.center[0] - dx for found, dx in zip(faces[5:], shifts[5:], strict=True)]
    assert max(offsets) - min(offsets) < 25, "the box stays on the face"
    assert all(found[0].smile > 0.7 for found in faces[5:])


def test_a_still_face_has_a_still_box(tracker, astronaut):
    faces = run(tracker, [moved(astronaut, 0)] * 30)
    assert len({found[0].box for found in faces[15:]}) == 1


def test_a_face_that_leaves_is_dropped_and_a_new_one_gets_a_new_id(tracker, astronaut):
    empty = np.full((400, 512, 3), 90, np.uint8)
    faces = run(tracker, [moved(astronaut, 0)] * 10 + [empty] * 30 + [moved(astronaut, 100)] * 20)
    assert faces[9][0].id == 1
    assert faces[11][0].id == 1, "a moment's miss does not drop a face"
    assert faces[15:40] == [[]] * 25, "but a box is not left standing in the air"
    assert faces[-1][0].id == 1, "who is back at once is still the same"
    faces = run(tracker, [empty] * 70 + [moved(astronaut, 100)] * 20, start=2.0)
    assert faces[-1][0].id == 2


def test_two_faces_are_followed_and_come_largest_first(tracker, astronaut):
    picture = np.full((360, 640, 3), 128, np.uint8)
    picture[60:300, 20:260] = cv2.resize(astronaut[30:230, 120:320], (240, 240))
    picture[100:250, 400:550] = cv2.resize(astronaut[30:230, 120:320], (150, 150))
    faces = run(tracker, [picture] * 10)
    assert len(faces[-1]) == 2
    assert faces[-1][0].box.area > faces[-1][1].box.area
    assert {face.id for face in faces[-1]} == {1, 2}


def test_forgetting_begins_anew(tracker, astronaut):
    run(tracker, [moved(astronaut, 0)] * 5)
    tracker.forget()
    assert run(tracker, [moved(astronaut, 0)] * 5, start=1.0)[-1][0].id == 2


def test_a_search_that_fails_is_reported_to_the_caller(recognizer, astronaut):
    tracker = FaceTracker(create_detector("yunet"), recognizer)
    with pytest.raises(DetectorError, match="--detector-model"):
        run(tracker, [moved(astronaut, 0)] * 20)
    tracker.close()


def test_a_pattern_that_the_detector_takes_for_a_face_is_not_shown(tracker, astronaut):
    large = cv2.resize(astronaut, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    assert len(create_detector("face_recognition").detect(large, min_face=64)) == 2, "her badge no longer fools HOG"
    for faces in run(tracker, [large] * 12)[2:]:
        assert len(faces) == 1
        assert faces[0].box.iou(Box(112, 408, 248, 273)) > 0.4


def test_a_detector_that_fails_is_reported_and_searching_goes_on(recognizer, astronaut):
    class Moody:
        name, calls = "moody", 0

        def load(self):
            pass

        def detect(self, image, *, min_face=40.0):
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("no mood")
            return [Box(75, 272, 165, 182)]

    tracker = FaceTracker(Moody(), recognizer)
    with pytest.raises(DetectorError, match="face detector failed"):
        run(tracker, [moved(astronaut, 0)] * 20)
    assert run(tracker, [moved(astronaut, 0)] * 20, start=5.0)[-1]
    tracker.close()


def test_the_detector_is_hardly_asked_while_faces_are_followed(recognizer, astronaut):
    asked = []

    class Counting:
        name = "counting"
        detector = create_detector("face_recognition")

        def load(self):
            pass

        def detect(self, image, *, min_face=40.0):
            asked.append(min_face)
            return self.detector.detect(image, min_face=min_face)

    tracker = FaceTracker(Counting(), recognizer, offline=True)
    run(tracker, [head(astronaut, 320, 240, size=1.3)] * 120)
    tracker.close()
    assert len(asked) == 4, "in four seconds"
    assert min(asked[1:3]) > asked[0], "and mostly for faces about as large as the one in view"
    assert asked[3] == asked[0], "but now and then for small ones too"


def test_many_faces_take_turns_without_flickering(recognizer, astronaut):
    head_only = cv2.resize(astronaut[30:230, 120:330], (160, 152))
    picture = np.full((480, 800, 3), 110, np.uint8)
    for row in range(3):
        for column in range(4):
            picture[4 + row * 158 : 156 + row * 158, 10 + column * 198 : 170 + column * 198] = head_only
    tracker = FaceTracker(create_detector("face_recognition"), recognizer)
    faces = []
    for i in range(30):
        faces.append(tracker.update(picture, i / 5))
        wait_for_search(tracker)
    tracker.close()
    assert [len(found) for found in faces[5:]] == [12] * 25
    assert len({face.id for found in faces for face in found}) == 12
