"""Which bytes are a whole picture, and which pictures look alike."""

import cv2
import numpy as np
import pytest

from common.errors import FetchError
from pictures.perceptual_hash import perceptual_hash
from scraping.checking import check_picture
from tests.getty_pages import jpeg


def test_a_whole_jpeg_is_one_to_its_end_marker():
    data = jpeg(5)
    assert check_picture(data).size == len(data)
    assert check_picture(data + b"and more").suffix == ".jpg", "cameras append things"
    for end in (len(data) - 1, len(data) - 2, len(data) // 2, 700):
        with pytest.raises(FetchError, match="cut off"):
            check_picture(data[:end])


def test_the_end_of_an_embedded_preview_is_not_the_end_of_the_picture():
    preview = jpeg(6, size=(64, 64))
    data = jpeg(5)
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    with_preview = data[:2] + segment + data[2:]
    assert check_picture(with_preview).width == 306
    with pytest.raises(FetchError, match="cut off"):
        check_picture(with_preview[: len(segment) + 5000])


def test_a_progressive_jpeg_with_restart_markers_is_whole(astronaut):
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4]
    data = cv2.imencode(".jpg", astronaut, options)[1].tobytes()
    assert check_picture(data).height == 512
    with pytest.raises(FetchError, match="cut off"):
        check_picture(data[:-2000])


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_other_pictures_are_whole_or_cut_off(suffix, astronaut):
    data = cv2.imencode(suffix, astronaut)[1].tobytes()
    assert check_picture(data).suffix == suffix
    with pytest.raises(FetchError, match="cut off"):
        check_picture(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(100), b"%PDF-1.7", b"\xff\xd8", b"<svg/>", bytes(1000)])
def test_what_is_no_picture_is_said_to_be_none(data):
    with pytest.raises(FetchError) as caught:
        check_picture(data)
    assert caught.value.kind == "not_a_picture"


def test_the_perceptual_hash_knows_copies_from_strangers(astronaut):
    def bits(a: int, b: int) -> int:
        return (a ^ b).bit_count()

    gray = cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    own = perceptual_hash(gray)
    bad_jpeg = cv2.imdecode(cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_GRAYSCALE)
    brighter = np.clip(gray * 1.1 + 8, 0, 255).astype(np.uint8)
    for copy in (bad_jpeg, brighter, cv2.resize(gray, (300, 300), interpolation=cv2.INTER_AREA), gray[5:-5, 5:-5]):
        assert bits(own, perceptual_hash(copy)) <= 6
    for stranger in (gray[::-1], gray[:, ::-1], gray[200:, :300]):
        assert bits(own, perceptual_hash(np.ascontiguousarray(stranger))) > 12
    assert perceptual_hash(np.zeros((64, 64), np.uint8)) == 0, "a flat picture too has a hash"
