import time

import cv2
import numpy as np
import pytest

from common.errors import DetectorError
from common.face import Box
from faces.detectors import create_detector
from faces.tracking import FaceTracker
from smile_recognition import SmileRecognizer
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recognizer() -> SmileRecognizer:
    return SmileRecognizer()


@pytest.fixture
def offline(recognizer):
    """Depends on the pictures alone, not on how fast the computer searches."""
    face_tracker = FaceTracker(create_detector("face_recognition"), recognizer, offline=True)
    yield face_tracker
    face_tracker.close()


@pytest.fixture
def tracker(recognizer):
    face_tracker = FaceTracker(create_detector("face_recognition"), recognizer)
    yield face_tracker
    face_tracker.close()


def wait_for_search(tracker: FaceTracker) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while tracker._search.busy:
        assert time.monotonic() < deadline
        time.sleep(0.001)  # a thousand such waits a test


def run(tracker, pictures, start=0.0):
    """Feeds pictures as if 30 came a second; waits for the search that each asks for, so that a test sees no race."""
    faces = []
    for i, picture in enumerate(pictures):
        faces.append(tracker.update(picture, start + i / 30))
        wait_for_search(tracker)
    return faces


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


def head(astronaut, x, y, *, size=1.0, angle=0.0, background=None):
    """A 640x480 picture with the astronaut's head, centred at `x`, `y`, leaning `angle` degrees clockwise."""
    cosine, sine = size * np.cos(np.deg2rad(angle)), size * np.sin(np.deg2rad(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    move = np.column_stack([turn, (x, y) - turn @ (226, 118)])
    picture = background if background is not None else np.full((480, 640, 3), 110, np.uint8)
    mask = np.zeros(astronaut.shape[:2], np.uint8)
    cv2.ellipse(mask, (226, 110), (72, 100), 0, 0, 360, 255, -1)
    mask = cv2.warpAffine(mask, move, (640, 480))[..., None] / 255
    return (picture * (1 - mask) + cv2.warpAffine(astronaut, move, (640, 480)) * mask).astype(np.uint8)


def room(seed):
    """Something smooth to stand before, different for each seed."""
    blocks = np.random.default_rng(seed).integers(40, 210, (5, 6, 3), np.uint8)
    return cv2.resize(blocks, (640, 480), interpolation=cv2.INTER_CUBIC)


def ids(faces):
    return [[face.id for face in found] for found in faces]


def test_a_head_may_tilt(offline, astronaut):
    angles = [45 * np.sin(i / 14) for i in range(90)]
    faces = run(offline, [head(astronaut, 320, 240, size=1.4, angle=angle) for angle in angles])
    assert ids(faces) == [[1]] * 90
    assert {found[0].label for found in faces} == {"smile"}
    for found, angle in zip(faces, angles, strict=True):
        (left, right), eyes = np.array(found[0].landmarks[:2]), np.deg2rad(angle)
        seen = np.arctan2(right[1] - left[1], right[0] - left[0])
        assert abs(np.rad2deg(seen - eyes)) < 15, "the landmarks lean with the head"


def test_a_face_that_moves_fast_is_followed_without_lag(offline, astronaut):
    places = [320 + 180 * np.sin(i / 8) for i in range(75)]  # up to 22 pixels a frame
    faces = run(offline, [head(astronaut, x, 240) for x in places])
    assert ids(faces) == [[1]] * 75
    offsets = np.array([found[0].box.center[0] - x for found, x in zip(faces, places, strict=True)])
    assert np.abs(offsets - np.median(offsets)).max() < 12


def test_a_face_that_comes_nearer_is_followed(offline, astronaut):
    sizes = [1.3 - 0.8 * np.cos(i / 20) for i in range(63)]
    faces = run(offline, [head(astronaut, 320, 240, size=size) for size in sizes])
    assert ids(faces) == [[1]] * 63
    heights = np.array([found[0].box.height for found in faces]) / sizes
    assert heights.max() / heights.min() < 1.25


def test_a_still_face_in_a_noisy_picture_has_a_still_box(offline, astronaut):
    rng = np.random.default_rng(0)
    still = head(astronaut, 320, 240).astype(float)
    noisy = [np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8) for _ in range(45)]
    faces = run(offline, noisy)
    assert ids(faces) == [[1]] * 45
    assert len({found[0].box for found in faces[10:]}) <= 2
    assert np.std([found[0].raw_smile for found in faces]) < 0.05


def test_a_hidden_face_is_not_shown_and_comes_back_as_itself(offline, astronaut):
    plain = head(astronaut, 320, 240, background=room(1))
    hidden = plain.copy()
    hidden[120:380, 210:430] = (120, 150, 190)
    faces = run(offline, [plain] * 20 + [hidden] * 30 + [plain] * 20)
    assert ids(faces[:20]) == [[1]] * 20
    assert ids(faces[25:50]) == [[]] * 25
    assert ids(faces[55:]) == [[1]] * 15


def test_people_who_pass_each_other_keep_their_ids(offline, astronaut):
    dark = (astronaut * 0.55).astype(np.uint8)[:, ::-1]
    dark = np.roll(dark, 226 - (511 - 226), axis=1)  # the mirrored head where head() looks for it
    pictures = []
    for i in range(90):
        behind = head(astronaut, 80 + 5.4 * i, 250, size=0.9, background=room(2))
        pictures.append(head(dark, 560 - 5.4 * i, 245, background=behind))
    faces = run(offline, pictures)
    assert sorted(ids(faces)[10]) == [1, 2]
    assert {face for found in ids(faces) for face in found} == {1, 2}, "nobody became somebody else"
    side = {face.id: face.box.center[0] > 320 for face in faces[10]}
    assert {face.id: face.box.center[0] > 320 for face in faces[-1]} == {key: not value for key, value in side.items()}


def test_a_cut_to_another_scene_drops_the_face_at_once(offline, astronaut):
    first = [head(astronaut, 200, 240, background=room(3))] * 15
    second = [head(astronaut, 450, 230, size=1.2, background=room(4))] * 15
    faces = run(offline, first + second)
    assert ids(faces) == [[1]] * 15 + [[2]] * 15
    assert faces[15][0].box.center[0] > 400, "no box of the old scene in the new one"


def test_a_broken_frame_costs_no_id(offline, astronaut):
    good = head(astronaut, 320, 240, background=room(5))
    broken = np.random.default_rng(0).integers(0, 256, good.shape).astype(np.uint8)
    faces = run(offline, [good] * 10 + [broken] + [good] * 10)
    assert ids(faces[:10] + faces[11:]) == [[1]] * 20
    assert faces[10] == []


def test_time_that_goes_back_begins_anew(offline, astronaut):
    picture = head(astronaut, 320, 240)
    assert ids(run(offline, [picture] * 5, start=100.0)) == [[1]] * 5
    assert ids(run(offline, [picture] * 5, start=0.0)) == [[2]] * 5


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


def test_somebody_who_joins_is_found(offline, astronaut):
    alone = head(astronaut, 180, 240, background=room(6))
    both = head(astronaut, 480, 240, size=0.8, background=alone.copy())
    faces = run(offline, [alone] * 20 + [both] * 35)
    assert ids(faces)[-1] == [1, 2]


def test_a_face_that_leaves_before_a_pattern_leaves_no_ghost(offline):
    from skimage import data

    grass = cv2.cvtColor(cv2.resize(data.grass(), (640, 480)), cv2.COLOR_GRAY2BGR)
    astronaut = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    gravel = cv2.cvtColor(cv2.resize(data.gravel(), (640, 480)), cv2.COLOR_GRAY2BGR)
    for i, background in enumerate((grass, gravel)):
        there = [head(astronaut, 320, 240, background=background.copy())] * 20
        faces = run(offline, there + [background] * 45, start=10.0 * i)
        assert len(faces[19]) == 1
        assert faces[-1] == []


def test_a_head_that_sways_before_a_plain_wall_is_no_new_scene(offline, astronaut):
    pictures = [head(astronaut, 320 + 130 * np.sin(i / 3), 240, size=1.5) for i in range(40)]
    faces = []
    for i, picture in enumerate(pictures):
        faces.append(offline.update(picture, i / 10))  # at ten frames a second nearly a head's width from one to the next
    assert {face.id for found in faces for face in found} == {1}


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
