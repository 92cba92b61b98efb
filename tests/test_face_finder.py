"""The finder network as the app uses it: from its maps to faces, and what the shipped one sees."""

import zipfile

import cv2
import numpy as np
import pytest

from common.errors import DetectorError, ModelError
from common.face import Box
from faces.detection import candidates
from faces.detectors import create_detector
from faces.finder import CELL, CHANNELS, DEFAULT_FINDER, FaceFinder, decode, fitted, looks
from smile_recognition import DEFAULT_MODEL
from tests.test_photo_analysis import turned
from tests.test_smile_recognition import ASTRONAUT_BOX

EYES = np.array([(-0.22, -0.19), (0.22, -0.19), (0.0, 0.06), (-0.19, 0.26), (0.19, 0.26)])


@pytest.fixture(scope="module")
def finder():
    return create_detector("finder")


def maps_of(*faces):
    """What a perfect network says of faces `(score, x, y, side)` in a frame of 160x128."""
    maps = np.zeros((16, 20, CHANNELS), np.float32)
    for score, x, y, side in faces:
        row, column = int(y / CELL), int(x / CELL)
        place = (x / CELL - column - 0.5, y / CELL - row - 0.5, np.log(side / CELL))
        maps[row, column] = (score, *place, *EYES.ravel())
    return maps


def test_maps_say_where_faces_are():
    large, small = decode(maps_of((0.9, 50.3, 61.9, 70.0), (0.6, 131.0, 20.5, 9.5), (0.1, 8.0, 8.0, 20.0)), 0.4)
    assert (large.score, large.x, large.y, large.side) == pytest.approx((0.9, 50.3, 61.9, 70.0), abs=1e-3)
    assert (small.x, small.y, small.side) == pytest.approx((131.0, 20.5, 9.5), abs=1e-3)
    assert large.landmarks == pytest.approx(EYES * 70 + (50.3, 61.9), abs=1e-2)
    assert large.lean == pytest.approx(0, abs=1e-3)
    assert decode(maps_of(), 0.4) == []


def test_two_cells_that_see_one_face_are_one_face():
    faces = decode(maps_of((0.7, 50.0, 60.0, 70.0), (0.9, 58.0, 60.0, 66.0)), 0.4)
    assert [face.score for face in faces] == pytest.approx([0.9])


def test_a_picture_is_scaled_to_fit_and_its_border_repeated():
    gray = np.full((60, 320), 7, np.uint8)
    gray[:, -1] = 200
    scaled, scale = fitted(gray, (160, 128))
    assert scaled.shape == (128, 160)
    assert scale == 0.5
    assert (scaled[:, :100] == 7).all()
    tall, scale = fitted(np.zeros((1000, 10), np.uint8), (160, 128))
    assert tall.shape == (128, 160)
    assert scale == pytest.approx(0.128)


@pytest.mark.parametrize(
    ("shape", "smallest", "sizes"),
    [
        ((480, 640), 80, [(160, 128)]),
        ((480, 640), 40, [(160, 128), (320, 256)]),
        ((64, 64), 10, [(128, 128)]),
        ((4000, 6000), 333, [(160, 128), (384, 256)]),
    ],
)
def test_small_faces_are_looked_for_from_near(shape, smallest, sizes):
    assert looks(shape, smallest) == sizes


def test_no_picture_asks_for_more_memory_than_there_is():
    for shape in ((30_000, 30_000), (8, 60_000), (60_000, 8)):
        for width, height in looks(shape, 1):
            assert width * height < 5_000_000


@pytest.mark.parametrize("lean", [-150, -90, -60, -30, 0, 30, 60, 90, 180])
def test_a_face_is_found_at_any_angle(finder, astronaut, lean):
    boxes = finder.detect(turned(astronaut, lean), min_face=60)
    assert max(box.iou(Box(*ASTRONAUT_BOX)) for box in boxes) > 0.4


@pytest.mark.parametrize("lean", [-30, 0, 30])
def test_it_is_known_about_how_a_face_leans(finder, astronaut, lean):
    found = candidates(finder, turned(astronaut, lean), min_face=60)
    angle = max(found, key=lambda candidate: candidate.box.iou(Box(*ASTRONAUT_BOX))).angle
    assert angle == pytest.approx(lean, abs=30), "the smile network's landmarks tell the rest"


def test_an_upright_face_has_the_box_that_face_recognition_draws(finder, astronaut):
    assert finder.detect(astronaut, min_face=60)[0].iou(Box(*ASTRONAUT_BOX)) > 0.7


def test_dim_near_blurred_and_noisy_faces_are_found(finder, astronaut):
    rng = np.random.default_rng(0)
    face = Box(*ASTRONAUT_BOX)
    seen = {
        "dim": np.clip(astronaut * 0.12 + rng.normal(0, 4, astronaut.shape), 0, 255).astype(np.uint8),
        "blurred": cv2.GaussianBlur(astronaut, (0, 0), 2.5),
        "noisy": np.clip(astronaut + rng.normal(0, 35, astronaut.shape), 0, 255).astype(np.uint8),
        "pale": (astronaut * 0.2 + 150).astype(np.uint8),
    }
    for how, picture in seen.items():
        assert any(box.iou(face) > 0.5 for box in finder.detect(picture, min_face=60)), how
    near = cv2.resize(astronaut[60:180, 165:295], (650, 600), interpolation=cv2.INTER_CUBIC)
    box = finder.detect(near, min_face=60)[0]
    assert box.height > 350


def test_boxes_are_counted_in_pixels_of_the_picture_whatever_its_size(finder, astronaut):
    for scale in (0.3, 1.0, 3.0):
        picture = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        box = finder.detect(picture, min_face=60 * scale)[0]
        expected = Box(*(round(value * scale) for value in ASTRONAUT_BOX))
        assert box.iou(expected) > 0.6, scale


def test_pictures_of_many_shapes_give_the_same_faces_each_time(finder, astronaut):
    """More shapes than the finder keeps ready, and back again."""
    shapes = [astronaut[:height, :width] for height, width in ((512, 512), (400, 512), (512, 330), (300, 512), (260, 340))]
    first = [finder.detect(picture, min_face=60) for picture in shapes]
    assert all(first)
    assert [finder.detect(picture, min_face=60) for picture in shapes] == first


def test_what_is_smaller_than_asked_for_is_left_out(finder, astronaut):
    assert finder.detect(astronaut, min_face=400) == []


def test_textures_give_none(finder):
    from skimage import data

    for texture in (data.grass(), data.gravel(), data.brick(), data.page()):
        assert finder.detect(texture, min_face=60) == []


def test_most_pictures_without_a_face_give_none(finder, shared_data):
    false = 0
    with zipfile.ZipFile(shared_data / "backgrounds.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::23]
        for name in names:
            gray = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            false += len(finder.detect(gray, min_face=40))
    assert len(names) > 50
    assert false <= 0.2 * len(names), "the smile network turns most of them down"


def test_a_file_that_is_missing_damaged_or_another_network_is_said_in_a_sentence(tmp_path):
    with pytest.raises(ModelError, match=r"no finder network at .*missing"):
        FaceFinder(tmp_path / "missing.tflite")
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(DEFAULT_FINDER.read_bytes()[:1000])
    for path in (damaged, DEFAULT_MODEL):
        with pytest.raises(ModelError, match="not a finder network"):
            FaceFinder(path)
        with pytest.raises(DetectorError, match="not a finder network"):
            create_detector("finder", path).load()


def test_the_shipped_file_is_small():
    assert DEFAULT_FINDER.stat().st_size < 500_000
