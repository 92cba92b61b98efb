import xml.etree.ElementTree as ElementTree
import zipfile

import cv2
import numpy as np
import pytest

from common.errors import DetectorError
from common.face import Box
from faces.detectors import DETECTORS, create_detector
from tests.project import SHARED

YUNET = SHARED / "models" / "face_detection_yunet_2026may.onnx"


def detector_or_skip(name):
    if name == "yunet" and not YUNET.is_file():
        pytest.skip("needs the YuNet model beside the project")
    return create_detector(name, YUNET if name == "yunet" else None)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_the_face_at_about_the_same_place(name, astronaut):
    boxes = detector_or_skip(name).detect(astronaut, min_face=60)
    assert boxes
    # eyes at about (195, 115) and (240, 108), the lower lip at y = 155
    box = boxes[0]
    assert box.left < 190 < 245 < box.right
    assert box.top < 105 < 155 < box.bottom
    assert 70 < box.height < 150
    assert box.iou(create_detector("face_recognition").detect(astronaut, min_face=60)[0]) > 0.6


@pytest.mark.parametrize(("upsampled", "smallest"), [(0, 80), (1, 40)])
def test_the_default_detector_gives_the_boxes_of_the_face_recognition_package(astronaut, upsampled, smallest):
    import face_recognition

    rgb = cv2.cvtColor(astronaut, cv2.COLOR_BGR2RGB)
    expected = face_recognition.face_locations(rgb, number_of_times_to_upsample=upsampled)
    found = create_detector("face_recognition").detect(astronaut, min_face=smallest)
    largest = max((Box(*box) for box in expected), key=lambda box: box.area)
    assert found[0].iou(largest) > (0.99 if not upsampled else 0.8), "enlarging is done otherwise, so not to the pixel"


@pytest.mark.parametrize("name", DETECTORS)
def test_grey_and_colour_pictures_of_any_size_are_accepted(name, astronaut):
    detector = detector_or_skip(name)
    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    assert detector.detect(gray, min_face=60)
    small = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    assert detector.detect(small, min_face=20), "a small face is found when asked for"
    large = cv2.resize(astronaut, (1600, 1600))
    found = detector.detect(large, min_face=200)
    assert found, "a large picture costs no faces"
    assert found[0].left < 190 * 3.125 < found[0].right


@pytest.mark.parametrize("name", DETECTORS)
def test_a_picture_without_a_face_gives_none(name):
    detector = detector_or_skip(name)
    assert detector.detect(np.zeros((240, 320, 3), np.uint8)) == []
    assert detector.detect(np.zeros((4, 4, 3), np.uint8)) == []


def test_several_faces_come_largest_first(astronaut):
    face = astronaut[40:240, 120:320]
    picture = np.full((300, 520, 3), 128, np.uint8)
    picture[50:250, 10:210] = face
    picture[100:220, 300:420] = cv2.resize(face, (120, 120), interpolation=cv2.INTER_AREA)
    boxes = create_detector("face_recognition").detect(picture, min_face=40)
    assert len(boxes) == 2
    assert boxes[0].area > boxes[1].area
    assert boxes[0].right < 260 < boxes[1].left


def test_what_is_wrong_with_a_detector_is_said_in_a_sentence(tmp_path):
    with pytest.raises(DetectorError, match="no detector called 'magic'; choose one of"):
        create_detector("magic")
    with pytest.raises(DetectorError, match="--detector-model FILE"):
        create_detector("yunet").load()
    with pytest.raises(DetectorError, match="no detector model at"):
        create_detector("yunet", tmp_path / "missing.onnx").load()
    if YUNET.is_file():
        from smile_recognition import DEFAULT_MODEL

        with pytest.raises(DetectorError, match="not a YuNet model"):
            create_detector("yunet", DEFAULT_MODEL).load()
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"not a network")
    with pytest.raises(DetectorError, match="not a YuNet model"):
        create_detector("yunet", damaged).load()


def test_box_overlap():
    box = Box(0, 10, 10, 0)
    assert box.iou(box) == 1
    assert box.iou(Box(20, 30, 30, 20)) == 0
    assert box.iou(Box(0, 15, 10, 5)) == pytest.approx(1 / 3)
    assert box.shifted(3, 4) == Box(4, 13, 14, 3)


@pytest.mark.parametrize(("name", "least"), [("face_recognition", 0.9), ("finder", 0.9), ("haar", 0.7), ("yunet", 0.95)])
def test_the_faces_of_group_photos_are_found(name, least, shared_data):
    detector = detector_or_skip(name)
    wanted = found = 0
    with zipfile.ZipFile(shared_data / "dlib_faces.zip") as archive:
        for listing in ("training.xml", "testing.xml"):
            for image in ElementTree.fromstring(archive.read(f"dlib_faces/{listing}")).iter("image"):
                data = np.frombuffer(archive.read(f"dlib_faces/{image.get('file')}"), np.uint8)
                boxes = detector.detect(cv2.imdecode(data, cv2.IMREAD_COLOR), min_face=35)
                for entry in image.iter("box"):
                    left, top, width, height = (int(entry.get(key, 0)) for key in ("left", "top", "width", "height"))
                    wanted += 1
                    found += any(box.iou(Box(top, left + width, top + height, left)) > 0.3 for box in boxes)
    assert wanted > 30
    assert found / wanted >= least, f"{found} of {wanted}"
