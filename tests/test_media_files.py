import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from common.errors import PictureError, SettingsError
from pictures.decoding import decode_picture
from pictures.finding import find_media
from pictures.picture_size import picture_size
from pictures.reading import read_bytes, read_video


@pytest.fixture(scope="module")
def picture(astronaut) -> Image.Image:
    return Image.fromarray(cv2.cvtColor(astronaut[:200, :300], cv2.COLOR_BGR2RGB))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


KINDS = {
    "jpeg": lambda image: saved(image, "JPEG"),
    "progressive jpeg": lambda image: saved(image, "JPEG", progressive=True),
    "cmyk jpeg": lambda image: saved(image.convert("CMYK"), "JPEG"),
    "grey jpeg": lambda image: saved(image.convert("L"), "JPEG"),
    "png": lambda image: saved(image, "PNG"),
    "png with alpha": lambda image: saved(image.convert("RGBA"), "PNG"),
    "png with palette": lambda image: saved(image.convert("P"), "PNG"),
    "grey png with alpha": lambda image: saved(image.convert("LA"), "PNG"),
    "16-bit png": lambda image: cv2.imencode(".png", np.asarray(image)[..., ::-1].astype(np.uint16) * 257)[1].tobytes(),
    "16-bit grey png": lambda image: cv2.imencode(".png", np.asarray(image)[..., 1].astype(np.uint16) * 257)[1].tobytes(),
    "webp": lambda image: saved(image, "WEBP"),
    "lossless webp": lambda image: saved(image, "WEBP", lossless=True),
    "webp with alpha": lambda image: saved(image.convert("RGBA"), "WEBP"),
    "bmp": lambda image: saved(image, "BMP"),
    "gif": lambda image: saved(image, "GIF"),
    "tiff": lambda image: saved(image, "TIFF"),
    "jpeg 2000": lambda image: saved(image, "JPEG2000"),
    "avif": lambda image: saved(image, "AVIF"),
    "ppm": lambda image: saved(image, "PPM"),
    "sun raster": lambda image: cv2.imencode(".ras", np.asarray(image)[..., ::-1])[1].tobytes(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_becomes_eight_bit_colour_or_grey(kind, picture):
    data = KINDS[kind](picture)
    assert picture_size(data) == (300, 200)
    image, gray = decode_picture(data), decode_picture(data, gray=True)
    assert (image.shape, image.dtype) == ((200, 300, 3), np.uint8)
    assert (gray.shape, gray.dtype) == ((200, 300), np.uint8)
    expected = np.asarray(picture.convert("L"), float)
    assert np.abs(gray - expected).mean() < (20 if kind == "png with palette" or kind == "16-bit grey png" else 6)
    assert np.abs(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float) - gray).mean() < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_as_their_exif_data_says(kind, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: to be turned clockwise
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    data = saved(lying, kind, exif=exif)
    assert picture_size(data) == (200, 300), "as stored"
    for gray in (False, True):
        image = decode_picture(data, gray=gray)
        assert image.shape[:2] == (200, 300)
        assert np.abs(image.reshape(200, 300, -1).mean(axis=2) - np.asarray(picture, float).mean(axis=2)).mean() < 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5])
def test_a_picture_that_is_cut_off_is_a_picture_error(kind, part, picture):
    data = KINDS[kind](picture)
    with pytest.raises(PictureError, match=r"^[A-Z].*\.$"):
        decode_picture(data[: int(part * len(data))])


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xd8", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"BM", b"P6 9", b"II*\0\xff\xff\xff\x7f"]
)
def test_what_is_no_picture_is_a_picture_error(data):
    assert picture_size(data) is None
    with pytest.raises(PictureError):
        decode_picture(data)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (200_000_000, 1)):
        with pytest.raises(PictureError, match=f"too large: {width}x{height} pixels"):
            decode_picture(png_that_claims(width, height))


def test_heic_pictures_are_named_as_such():
    with pytest.raises(PictureError, match="HEIC"):
        decode_picture(b"\0\0\0\x18ftypheic" + bytes(64))


def test_files_that_can_not_be_read_are_picture_errors(tmp_path):
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "missing")
    for name, sentence in (("empty.jpg", "empty"), ("pipe.jpg", "not a file"), ("nowhere.jpg", "No such file")):
        with pytest.raises(PictureError, match=sentence):
            read_bytes(str(tmp_path / name))


def test_folders_are_searched_in_name_order_and_one_at_a_time(tmp_path):
    for name in ("b.JPG", "a/2.png", "a/10.webp", "c.mp4", "notes.txt", ".hidden.jpg", ".thumbs/x.jpg", "d.jpg/e.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = list(find_media([str(tmp_path)]))
    names = ["a/10.webp", "a/2.png", "b.JPG", "c.mp4", "d.jpg/e.bmp"]
    assert [file.path for file in found] == [f"{tmp_path}/{name}" for name in names]
    assert [file.path for file in found if file.is_video] == [f"{tmp_path}/c.mp4"]
    lazy = find_media([str(tmp_path), "missing"])
    assert next(lazy).path.endswith("10.webp"), "found before the second path is looked at"
    with pytest.raises(SettingsError, match="no file or folder missing"):
        list(lazy)


def test_a_path_is_passed_on_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    for given, path in (("photos", "photos/a.jpg"), ("photos/", "photos/a.jpg"), ("./photos/a.jpg", "./photos/a.jpg")):
        assert [file.path for file in find_media([given])] == [path]


def test_a_named_file_is_known_by_its_content_when_its_suffix_says_nothing(tmp_path, face_picture, face_video):
    for source, name in ((face_picture, "picture"), (face_video, "video.bin")):
        (tmp_path / name).write_bytes(source.read_bytes())
    found = find_media([str(tmp_path / "picture"), str(tmp_path / "video.bin")])
    assert [file.is_video for file in found] == [False, True]


def test_video_frames_come_with_their_numbers_and_times(face_video):
    frames = []
    for frame in read_video(str(face_video)):
        frames.append((frame.number, round(frame.time_s, 3), frame.image.shape, frame.rate))
        if len(frames) == 4:
            break
    assert frames == [(i, round(i / 30, 3), (360, 480, 3), 30.0) for i in range(4)]


def test_a_stream_of_jpegs_without_time_stamps_still_has_times(tmp_path, astronaut):
    jpeg = cv2.imencode(".jpg", astronaut)[1].tobytes()
    (tmp_path / "a.mjpeg").write_bytes(jpeg * 5)
    assert [frame.time_s for frame in read_video(str(tmp_path / "a.mjpeg"))] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


def test_a_video_that_breaks_off_says_so_after_its_last_frame(tmp_path, face_video):
    data = face_video.read_bytes()
    (tmp_path / "half.avi").write_bytes(data[: len(data) // 4])
    frames = read_video(str(tmp_path / "half.avi"))
    numbers = []
    with pytest.raises(PictureError, match="breaks off after"):
        numbers.extend(frame.number for frame in frames)
    assert len(list(read_video(str(face_video)))) == 400


@pytest.mark.parametrize("content", [b"", b"hello" * 100])
def test_what_is_no_video_is_a_picture_error(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(PictureError):
        next(read_video(str(tmp_path / "a.mp4")))
