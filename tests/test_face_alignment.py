import cv2
import numpy as np
import pytest

from faces.alignment import TYPICAL_LANDMARKS, align
from smile_recognition import SmileRecognizer, crop_face, crop_tilted
from tests.test_smile_recognition import ASTRONAUT_BOX


def landmarks_of(top: float, right: float, bottom: float, left: float) -> np.ndarray:
    return TYPICAL_LANDMARKS * (right - left, bottom - top) + (left - 0.5, top - 0.5)


def turned(points: np.ndarray, angle: float, center: tuple[float, float]) -> np.ndarray:
    """`points` turned clockwise, as y grows downwards."""
    a = np.deg2rad(angle)
    return (points - center) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + center


def test_typical_landmarks_give_back_their_box():
    box, angle = align(landmarks_of(40, 130, 120, 50))
    assert box == (40, 130, 120, 50)
    assert angle == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("lean", [-40, -10, 25, 80])
def test_a_leaning_face_keeps_its_box_and_tells_its_angle(lean):
    box, angle = align(turned(landmarks_of(40, 130, 120, 50), lean, (89.5, 79.5)))
    assert np.abs(np.array(box) - (40, 130, 120, 50)).max() <= 1
    assert angle == pytest.approx(lean, abs=1e-3)


def test_landmarks_in_one_point_do_not_break_it():
    box, angle = align(np.zeros((5, 2)))
    assert np.isfinite(angle)
    assert box.height <= 1


def test_an_upright_tilted_crop_is_the_plain_crop():
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (200, 300)).astype(np.uint8), (0, 0), 5)
    for box in ((50, 114, 114, 50), (20, 170, 160, 30), (-20, 60, 60, -20)):
        crop, to_picture = crop_tilted(picture, box, 0.0)
        assert np.abs(crop.astype(int) - crop_face(picture, box)).mean() < 1.5
        top, _, _, left = box
        assert to_picture @ [-0.5, -0.5, 1] == pytest.approx([left - 0.5, top - 0.5])


@pytest.mark.parametrize("scale", [0.6, 1.0, 5.0])
def test_a_tilted_crop_undoes_the_lean(scale):
    drawn = np.zeros((800, 800), np.uint8)
    cv2.rectangle(drawn, (350, 380), (450, 400), 255, -1)  # a bar, level and off the centre
    drawn = cv2.GaussianBlur(drawn, (0, 0), 4)
    lean = cv2.warpAffine(drawn, cv2.getRotationMatrix2D((400, 400), -33, 1.0), (800, 800))  # negative: clockwise
    picture = cv2.resize(lean, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    box = tuple(round(value * scale) for value in (300, 500, 500, 300))
    upright, _ = crop_tilted(picture, box, 33.0)
    level, _ = crop_tilted(cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), box, 0.0)
    assert np.abs(upright.astype(int) - level).mean() < 4


def test_a_tilted_crop_of_nothing_is_refused():
    for box in ((5, 5, 5, 1), (5, 1, 9, 5)):
        with pytest.raises(ValueError, match="expected a box"):
            crop_tilted(np.zeros((9, 9), np.uint8), box, 10.0)


def test_a_box_far_outside_still_gives_a_crop():
    crop, _ = crop_tilted(np.full((50, 60), 7, np.uint8), (4000, 5000, 5000, 4000), 20.0)
    assert crop.shape == (64, 64)


def test_the_network_finds_a_leaning_astronauts_landmarks_where_they_are(astronaut):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    recognizer = SmileRecognizer()
    (upright,) = recognizer.read(gray, [ASTRONAUT_BOX])
    eyes = upright.points[:2]
    assert upright.presence > 0.8
    # By eye, where the pupils are; the distance between them is 43 pixels.
    assert np.abs(eyes - [(203, 101), (246, 103)]).max() < 5
    center = (227.0, 120.0)
    lean = cv2.warpAffine(gray, cv2.getRotationMatrix2D(center, -30, 1.0), gray.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    (read,) = recognizer.read(lean, [ASTRONAUT_BOX], [30.0])
    assert read.smile > 0.8
    expected = turned(upright.points, 30, center)
    assert np.abs(read.points - expected).max() < 4
    # Without being told, too: that is how it learns of the lean.
    (untold,) = recognizer.read(lean, [ASTRONAUT_BOX])
    assert align(untold.points)[1] == pytest.approx(30, abs=8)
