"""Faces of a recording, whatever the computer's speed: heads that tilt, hurry, hide, cross and leave keep their ids."""

import cv2
import numpy as np
import pytest

from faces.detectors import create_detector
from faces.tracking import FaceTracker
from smile_recognition import SmileRecognizer
from tests.tracked import head, ids, room, run

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
