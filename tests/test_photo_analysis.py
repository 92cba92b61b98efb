import cv2
import numpy as np
import pytest

from common.face import Box
from faces.detectors import create_detector
from faces.photo import Candidate, analyze_photo, search_steps, verified
from smile_recognition import SmileRecognizer
from tests.test_smile_recognition import ASTRONAUT_BOX


@pytest.fixture(scope="module")
def detector():
    return create_detector("finder")


@pytest.fixture(scope="module")
def recognizer():
    return SmileRecognizer()


def turned(image: np.ndarray, lean: float, center: tuple[float, float] = (227.0, 120.0)) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.warpAffine(
        image, cv2.getRotationMatrix2D(center, -lean, 1.0), (width, height), borderMode=cv2.BORDER_REPLICATE
    )


def test_the_astronaut_is_found_once_and_smiles(astronaut, detector, recognizer):
    faces = analyze_photo(astronaut, detector, recognizer)
    assert [face.id for face in faces] == [1]
    assert faces[0].box.iou(Box(*ASTRONAUT_BOX)) > 0.6
    assert faces[0].smile > 0.8
    assert faces[0].label == "smile"
    assert len(faces[0].landmarks) == 5
    (left, _), (right, _), (nose, _), (mouth_left, mouth_y), (mouth_right, _) = faces[0].landmarks
    assert left < nose < right
    assert mouth_left < nose < mouth_right
    assert mouth_y > faces[0].landmarks[0][1]


def test_a_grey_picture_gives_the_same(astronaut, detector, recognizer):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    colored, grey = (analyze_photo(image, detector, recognizer) for image in (astronaut, gray))
    assert [face.box for face in grey] == [face.box for face in colored]


@pytest.mark.parametrize("lean", [-40, 40])
def test_a_head_on_its_side_is_found_all_the_same(astronaut, detector, recognizer, lean):
    picture = turned(astronaut, lean)
    faces = analyze_photo(picture, detector, recognizer)
    assert 1 <= len(faces) <= 2, "a badge on her suit, upside down, has passed for one, too"
    assert faces[0].box.iou(Box(*ASTRONAUT_BOX)) > 0.5, "hers comes first"
    assert faces[0].smile > 0.5
    (x0, y0), (x1, y1) = faces[0].landmarks[:2]
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(lean, abs=10)


def test_a_face_of_twenty_four_pixels_is_found(astronaut, detector, recognizer):
    picture = cv2.resize(astronaut[:240, 107:347], (64, 64), interpolation=cv2.INTER_AREA)  # her face: 24 px of 64
    faces = analyze_photo(picture, detector, recognizer)
    assert len(faces) == 1
    assert faces[0].smile > 0.5


def test_two_faces_are_two_faces_largest_first(astronaut, detector, recognizer):
    face = astronaut[20:220, 127:327]
    picture = np.full((300, 600, 3), 90, np.uint8)
    picture[50:250, 30:230] = face
    picture[80:230, 380:530] = cv2.resize(face, (150, 150), interpolation=cv2.INTER_AREA)
    faces = analyze_photo(picture, detector, recognizer)
    assert [face.id for face in faces] == [1, 2]
    assert faces[0].box.center[0] < 300 < faces[1].box.center[0]
    assert faces[0].box.area > faces[1].box.area


@pytest.mark.parametrize("kind", ["flat", "noise", "stripes", "tiny"])
def test_a_picture_of_nothing_has_no_face(kind, detector, recognizer):
    picture = {
        "flat": np.full((200, 200), 127, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8),
        "stripes": np.tile(np.repeat(np.array([0, 255], np.uint8), 8), (200, 12)),
        "tiny": np.zeros((3, 2), np.uint8),
    }[kind]
    assert analyze_photo(picture, detector, recognizer) == []


@pytest.mark.parametrize("name", ["finder", "face_recognition"])
def test_each_step_says_its_name_and_the_first_is_the_cheap_one(astronaut, name):
    steps = dict(search_steps(astronaut, create_detector(name)))
    assert list(steps) == ["first look", "smaller faces"]
    assert any(candidate.box.iou(Box(*ASTRONAUT_BOX)) > 0.5 for candidate in steps["first look"])


@pytest.mark.parametrize("lean", [-90, 90, 180])
def test_a_head_on_its_side_or_upside_down_is_read_upright(astronaut, detector, recognizer, lean):
    faces = analyze_photo(turned(astronaut, lean), detector, recognizer)
    assert len(faces) == 1
    assert faces[0].box.iou(Box(*ASTRONAUT_BOX)) > 0.5
    assert faces[0].smile > 0.5


def test_candidates_that_are_one_face_or_none_are_dropped(astronaut, detector, recognizer):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    _, candidates = next(search_steps(astronaut, detector))
    assert len(verified(gray, candidates * 3, recognizer)) == 1
    badge = Candidate(Box(334, 328, 390, 272))  # which looks like a face to the detector
    assert verified(gray, [badge], recognizer) == []
    assert verified(gray, [], recognizer) == []


def test_a_panorama_too_wide_for_opencv_to_turn_is_read_all_the_same(astronaut, detector, recognizer):
    picture = np.full((120, 33_000, 3), 60, np.uint8)
    assert analyze_photo(picture, detector, recognizer) == []
    picture[10:110, 32_000:32_100] = cv2.resize(astronaut[60:180, 167:287], (100, 100), interpolation=cv2.INTER_AREA)
    faces = analyze_photo(picture, detector, recognizer)
    assert len(faces) == 1
    assert 32_000 < faces[0].box.center[0] < 32_100


@pytest.mark.parametrize("name", ["finder", "face_recognition"])
@pytest.mark.parametrize("shape", [(5000, 1), (1, 5000), (8, 16_383), (16_383, 8), (480, 12_000), (1, 1), (7, 9)])
def test_a_picture_of_an_odd_shape_costs_no_more_than_a_photo(shape, name, recognizer, monkeypatch):
    searched = []

    def search(_, image):
        searched.append(image.size)
        return []

    def find(_, gray):
        searched.append(gray.size)
        return np.zeros((gray.shape[0] // 8, gray.shape[1] // 8, 14), np.float32)

    monkeypatch.setattr("faces.detection.FaceRecognitionDetector._find", search)
    monkeypatch.setattr("faces.finder.FaceFinder._run", find)
    assert analyze_photo(np.full((*shape, 3), 90, np.uint8), create_detector(name), recognizer) == []
    assert sum(searched) < 3 * 16_500_000
