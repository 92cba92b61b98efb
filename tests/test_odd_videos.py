"""Videos as the world's cameras, browsers and cutters make them: scored from a file, and played as a camera."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import CameraError, PictureError
from pictures.reading import read_video
from pictures.sources import open_source
from tests.odd_videos import brightness, with_edit, with_pixels, with_times, write_video

pytestmark = pytest.mark.slow


def times(path: Path) -> list[float]:
    return [round(frame.time_s, 3) for frame in read_video(str(path))]


# --- scored from a file ---


def test_a_cut_by_an_edit_list_is_a_whole_video(tmp_path):
    path = with_edit(write_video(tmp_path / "cut.mp4", 60), 40, 60, rate=10)
    assert times(path) == [i / 10 for i in range(20)]


@pytest.mark.parametrize("gaps", [[9000] + [40] * 9, [40] * 9 + [9000], [40, 5000, 40, 40, 9000]])
def test_frames_that_stand_for_unequal_times_keep_their_own(gaps, tmp_path):
    path = with_times(write_video(tmp_path / "uneven.mp4", len(gaps)), gaps)
    assert times(path) == [sum(gaps[:i]) / 1000 for i in range(len(gaps))]


def test_a_slow_video_is_whole(tmp_path):
    assert times(write_video(tmp_path / "slow.mp4", 2, rate=0.5)) == [0, 2]


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mov", "cut.mkv"])
def test_a_video_whose_file_is_cut_short_says_so(name, tmp_path):
    path = write_video(tmp_path / name, 60)
    data = path.read_bytes()
    moov = data.find(b"moov") - 4
    if moov > 0:  # the index to the front, as for streaming, and all places in it moved on
        index = bytearray(data[moov:])
        for at, count in [(index.index(b"stco") + 8, 0)]:
            count = int.from_bytes(index[at : at + 4], "big")
            for place in range(at + 4, at + 4 + 4 * count, 4):
                index[place : place + 4] = (int.from_bytes(index[place : place + 4], "big") + len(index)).to_bytes(4, "big")
        head = data.find(b"mdat") - 4
        data = data[:head] + bytes(index) + data[head:moov]
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(PictureError, match=r"breaks off after \d\.\d"):
        times(path)


def test_a_video_half_of_which_was_never_written_says_so(tmp_path):
    path = write_video(tmp_path / "hollow.mp4", 60)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    middle = (start + end) // 2
    data[middle:end] = bytes(end - middle)
    path.write_bytes(data)
    with pytest.raises(PictureError, match=r"breaks off after \d\.\d of 6\.0 s"):
        times(path)


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    for shape, pixels in (((96, 64), (2, 1)), ((48, 128), (1, 2))):
        path = with_pixels(write_video(tmp_path / f"{shape[0]}.mp4"), *pixels)
        first = next(read_video(str(path)))
        assert (first.image.shape[1], first.image.shape[0]) == (128 if pixels[0] == 2 else 64, 48 * pixels[1])
        source = open_source(str(path))
        assert source.read().shape == first.image.shape
        source.close()


# --- played ---


@pytest.fixture
def play():
    """Reads a file as the camera does, without waiting: `(brightness, seconds since the picture before)` of each."""
    sources = []

    def pictures(path: Path, count: int) -> list[tuple[int, float]]:
        source = open_source(str(path))
        sources.append(source)
        seen: list[tuple[int, float]] = []
        misses = 0
        while len(seen) < count:
            image = source.read()
            if image is None:
                misses += 1
                assert misses <= count, "no picture comes any more"
                assert source.rewind()
            else:
                misses = 0
                seen.append((brightness(image), round(source.interval, 3)))
        return seen

    yield pictures
    for source in sources:
        source.close()


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "mp4v"), ("a.ts", "MPG2"), ("a.m2v", "MPG2"), ("a.vob", "MPG2"), ("a.mjpeg", "MJPG"), ("a.webm", "VP80")],
)
def test_any_video_begins_again_after_its_end(name, codec, tmp_path, play):
    path = write_video(tmp_path / name, 5, codec=codec)
    numbers = [number for number, _ in play(path, 15)]
    assert numbers == [0, 1, 2, 3, 4] * 3


def test_a_recording_that_was_never_indexed_begins_again(tmp_path, play):
    path = write_video(tmp_path / "a.webm", 5, codec="VP80")
    data = path.read_bytes()
    for name in (b"\x1c\x53\xbb\x6b", b"\x11\x4d\x9b\x74"):  # Cues and SeekHead become Void
        at = data.find(name)
        if at >= 0:
            length = int.from_bytes(data[at + 4 : at + 5], "big") & 0x7F
            data = data[:at] + b"\xec" + (0x10000000 | length).to_bytes(4, "big") + data[at + 5 :]
    segment = data.index(b"\x18\x53\x80\x67") + 4
    data = data[:segment] + b"\x01" + b"\xff" * 7 + data[segment + 8 :]  # a length that was not known yet
    path.write_bytes(data)
    assert [number for number, _ in play(path, 10)] == [0, 1, 2, 3, 4] * 2


def test_a_video_of_one_frame_stands(tmp_path, play):
    path = write_video(tmp_path / "one.mp4", 1, image=np.full((48, 64, 3), 120, np.uint8))
    seen = play(path, 5)
    assert {number for number, _ in seen} == {6}
    assert {seconds for _, seconds in seen[1:]} == {0.5}, "as a still picture does"


def test_videos_play_by_their_time_stamps(tmp_path, play):
    path = with_times(write_video(tmp_path / "uneven.mp4", 4), [3000, 40, 500, 40])
    seen = play(path, 8)
    assert [seconds for _, seconds in seen[1:4]] == [3, 0.04, 0.5]
    assert [seconds for _, seconds in seen[5:8]] == [3, 0.04, 0.5]
    assert 0 < seen[0][1] <= 0.04, "the first picture is shown at once"
    slow = play(write_video(tmp_path / "slow.mp4", 3, rate=0.5), 5)
    assert [seconds for _, seconds in slow[1:]] == [2, 2, 2, 2]
    fast = play(write_video(tmp_path / "fast.mp4", 3, rate=480), 4)
    assert [seconds for _, seconds in fast[1:]] == pytest.approx([1 / 480] * 3, abs=0.001)


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.jp2", "a.avif", "a.ppm", "picture"])
def test_stills_of_every_kind_stand(name, tmp_path, play):
    suffix = Path(name).suffix
    kind = ".jpg" if suffix in ("", ".jfif", ".jpe") else suffix
    (tmp_path / name).write_bytes(cv2.imencode(kind, np.full((48, 64, 3), 100, np.uint8))[1].tobytes())
    assert play(tmp_path / name, 4) == [(5, 0.5)] * 4


def test_a_still_that_can_not_be_read_says_why(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(CameraError, match=r"a\.jpg .*choose another file"):
        open_source(str(tmp_path / "a.jpg"))


def test_a_video_that_vanishes_while_it_plays_is_said_in_words(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3)
    source = open_source(str(path))
    while source.read() is not None:
        pass
    path.unlink()
    with pytest.raises(CameraError, match=r"no file a\.mp4 any more"):
        source.rewind()
    source.close()


def test_sound_with_a_cover_picture_holds_no_video(tmp_path):
    path = tmp_path / "song.m4a"
    path.write_bytes(song_with_cover())
    with pytest.raises(PictureError, match="holds no video"):
        next(read_video(str(path)))
    with pytest.raises(CameraError, match=r"song\.m4a holds no video"):
        open_source(str(path))


def song_with_cover() -> bytes:
    """An MP4 without any track, whose only picture is its cover."""

    def box(name: bytes, *bodies: bytes) -> bytes:
        body = b"".join(bodies)
        return (8 + len(body)).to_bytes(4, "big") + name + body

    jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 100, np.uint8))[1].tobytes()
    data = box(b"data", (13).to_bytes(4, "big"), bytes(4), jpeg)
    handler = box(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    header = box(b"mvhd", bytes(12), (1000).to_bytes(4, "big"), (3000).to_bytes(4, "big"), bytes(80))
    tags = box(b"udta", box(b"meta", bytes(4), handler, box(b"ilst", box(b"covr", data))))
    return box(b"ftyp", b"M4A \0\0\0\0M4A mp42isom") + box(b"moov", header, tags) + box(b"mdat", bytes(8))
