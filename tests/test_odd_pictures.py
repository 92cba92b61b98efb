import contextlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from common.errors import PictureError
from common.settings import Settings
from faces.detectors import create_detector
from faces.photo import analyze_photo
from faces.search import smallest_face
from faces.tracking import FaceTracker
from pictures.decoding import decode_picture, decode_small
from smile_recognition import SmileRecognizer
from visitors.analysis import VisitorAnalysis

pytestmark = pytest.mark.slow

QUARTERS = (40, 100, 160, 230)


@pytest.fixture(scope="module")
def quarters() -> Image.Image:
    """Every quarter another brightness: no turn or reflection leaves it as it is."""
    image = np.zeros((64, 96, 3), np.uint8)
    for i, value in enumerate(QUARTERS):
        image[32 * (i // 2) : 32 * (i // 2) + 32, 48 * (i % 2) : 48 * (i % 2) + 48] = value
    return Image.fromarray(image)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def corners(image: np.ndarray) -> list[int]:
    """Which quarter is shown top left, top right, bottom left, bottom right."""
    gray = image if image.ndim == 2 else image[..., 1]
    h, w = gray.shape
    seen = [int(gray[y, x]) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]
    return [min(range(4), key=lambda i: abs(QUARTERS[i] - value)) for value in seen]


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_of_every_kind_is_read_upright(kind, orientation, quarters):
    data = saved(quarters, kind, exif=turned(orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(saved(quarters, "PNG", exif=turned(orientation))))))
    for image in (decode_picture(data), decode_picture(data, gray=True), decode_small(data, 48)):
        assert corners(image) == corners(expected)
        assert (image.shape[0] > image.shape[1]) == (orientation >= 5)


def test_an_avif_is_turned_as_its_own_properties_say_and_not_twice(quarters):
    exif = turned(6)
    exif[0x010E] = "orientation" * 3  # something that stays in the file
    data = saved(quarters, "AVIF", exif=exif)
    assert data.count(b"irot") == 1
    # What stays becomes the same turn once more, which readers of AVIF ignore.
    entry = data.index(struct.pack(">HHI", 0x010E, 2, 34))
    both = data[:entry] + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + data[entry + 12 :]
    assert corners(decode_picture(both)) == corners(decode_picture(data)) == [2, 0, 3, 1]


def test_an_avif_with_a_damaged_head_is_no_crash(quarters):
    data = saved(quarters, "AVIF", exif=turned(6))
    for at in range(0, 400, 7):
        with contextlib.suppress(PictureError):
            assert decode_picture(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]).size


# --- without an end marker ---


def without_end(kind: str, image: Image.Image) -> bytes:
    if kind == "PNG":
        return saved(image, "PNG")[:-12]
    if kind == "GIF":
        return saved(image.convert("P"), "GIF")[:-1]
    options = {"progressive": kind == "progressive", "quality": 92}
    data = saved(image, "JPEG", **options)
    assert data.endswith(b"\xff\xd9")
    return data[:-2]


@pytest.fixture(scope="module")
def photo(astronaut) -> Image.Image:
    return Image.fromarray(cv2.cvtColor(astronaut[:200, :300], cv2.COLOR_BGR2RGB))


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "GIF"])
def test_a_picture_with_all_its_pixels_needs_no_end_marker(kind, photo):
    data = without_end(kind, photo)
    whole = decode_picture(data + {"PNG": png_end(), "GIF": b";"}.get(kind, b"\xff\xd9"))
    assert np.array_equal(decode_picture(data), whole)
    assert decode_small(data, 100).shape[1] == 100
    if kind != "GIF":
        answer = VisitorAnalysis(Settings()).analyze(data)
        assert (answer["width"], answer["height"]) == (300, 200)


def png_end() -> bytes:
    return struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "GIF"])
@pytest.mark.parametrize("missing", [30, 300, 3000])
def test_a_picture_that_lacks_pixels_is_still_damaged(kind, missing, photo):
    data = without_end(kind, photo)
    with pytest.raises(PictureError, match="damaged"):
        decode_picture(data[:-missing])


# --- tall ---


@pytest.fixture(scope="module")
def recognizer() -> SmileRecognizer:
    return SmileRecognizer()


@pytest.fixture(scope="module")
def face(astronaut) -> np.ndarray:
    """A face 109 pixels high in the middle of 300 x 300."""
    return cv2.resize(astronaut[0:300, 80:380], (300, 300))


@pytest.mark.parametrize("count", [1, 8, 10, 16])
def test_faces_in_tall_pictures_are_found_as_in_others(count, face, recognizer):
    detector = create_detector("face_recognition")
    strip = np.vstack([face] * count if count > 1 else [face, np.full((3700, 300, 3), 90, np.uint8)])
    assert len(analyze_photo(strip, detector, recognizer)) == count


def test_the_smallest_face_of_usual_pictures_is_a_share_of_their_height():
    for width, height in ((1920, 1080), (640, 480), (1080, 1920), (4000, 400)):
        assert smallest_face(height, width) == max(40, height / 12)
    assert smallest_face(40_000, 400) == smallest_face(800, 400)


def test_a_tall_stream_and_a_tall_live_picture_show_their_faces(face, recognizer):
    tall = np.vstack([face, np.full((2700, 300, 3), 90, np.uint8)])
    answer = VisitorAnalysis(Settings()).analyze(cv2.imencode(".png", tall)[1].tobytes(), {})
    assert len(answer["faces"]) == 1
    tracker = FaceTracker(create_detector("face_recognition"), recognizer, offline=True)
    for i in range(4):
        faces = tracker.update(tall, i / 10)
    assert len(faces) == 1
    tracker.close()
