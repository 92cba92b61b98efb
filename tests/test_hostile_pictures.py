"""Pictures made to cost: they are refused by their first bytes, with work that does not grow with what was sent."""

import random
import struct
import sys

import pytest

from benchmarks.actors.broken_pictures import encoded, many_scans
from camera import Camera
from common.errors import CameraError, FetchError, PictureError, SmileError, TooBusy
from common.settings import Settings
from pictures.avif_turns import avif_turns
from pictures.decoding import check_picture, decode_picture, decode_small
from pictures.finding import MediaFile
from pictures.network_pictures import JpegSplitter
from pictures.picture_size import picture_size
from pictures.sources import open_source
from pictures.video_length import promised_seconds
from scoring.work import Work
from scraping.checking import check_picture as check_downloaded
from visitors import analysis as visitor_analysis
from visitors.analysis import VisitorAnalysis

ENDLESS = {
    "padding": b"\xff",
    "markers without a length": b"\xff\x01",
    "stuffed bytes": b"\xff\x00",
    "restarts": b"\xff\xd0",
    "empty segments": b"\xff\xe0\x00\x02",
    "segments shorter than their length": b"\xff\xe0\x00\x00",
    "anything else": b"\x00",
}


def lines_run(call, *values) -> int:
    """How many lines of Python a call takes, however fast or busy the computer is."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(*values)
    except (PictureError, FetchError):
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("look", [picture_size, check_picture, check_downloaded], ids=["size", "check", "download"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_the_work_on_a_jpegs_head_does_not_grow_with_what_was_sent(kind, look):
    few, many = (b"\xff\xd8\xff" + ENDLESS[kind] * (size // len(ENDLESS[kind])) for size in (100_000, 400_000))
    assert lines_run(look, many) < 60_000
    assert lines_run(look, many) <= 1.2 * lines_run(look, few) + 100


def test_padding_and_many_segments_before_the_frame_are_still_read():
    data = encoded("JPEG", "RGB", 64, 48, None, "plain")
    segment = b"\xff\xe2" + (65_000).to_bytes(2, "big") + bytes(64_998)
    for inserted in (b"\xff" * 500, segment * 60, b"\xff\xfe\x00\x02" * 300, b"\xff\x01" * 20):
        assert picture_size(data[:2] + inserted + data[2:]) == (64, 48)


def test_a_picture_waits_for_its_place_before_anything_of_it_is_read(monkeypatch):
    looked: list[int] = []
    check = visitor_analysis.check_picture
    monkeypatch.setattr(
        visitor_analysis, "check_picture", lambda data, **more: looked.append(len(data)) or check(data, **more)
    )
    analysis = VisitorAnalysis(Settings(source="none"), places=1)
    while analysis._present.acquire(blocking=False):
        pass
    with pytest.raises(TooBusy):
        analysis.analyze(b"\xff\xd8" + b"\xff" * 1000)
    assert looked == []


def test_a_pictures_head_is_read_once(monkeypatch):
    from pictures import decoding as picture_decoding

    looked: list[int] = []
    size = picture_decoding.picture_size
    monkeypatch.setattr(picture_decoding, "picture_size", lambda data: looked.append(len(data)) or size(data))
    VisitorAnalysis(Settings(source="none", detector="haar")).analyze(encoded("JPEG", "L", 64, 48, None, "plain"), {})
    assert len(looked) == 1


def with_size(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc2") + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


@pytest.mark.parametrize(
    "data", [many_scans(64, 500), with_size(many_scans(64, 40), 12_000, 10_000)], ids=["small", "few scans of many pixels"]
)
def test_a_jpeg_of_too_many_scans_is_refused_everywhere(tmp_path, data):
    sentence = "too many scans"
    for read in (decode_picture, lambda data: decode_small(data, 128)):
        with pytest.raises(PictureError, match=sentence):
            read(data)
    with pytest.raises(FetchError, match=sentence):
        check_downloaded(data)
    file = tmp_path / "many.jpg"
    file.write_bytes(data)
    rows = list(Work(detector="haar").scorer().rows(MediaFile(str(file))))
    assert [sentence in row["error"] for row in rows] == [True]
    with pytest.raises(CameraError, match=sentence):
        open_source(str(file))
    with pytest.raises(SmileError):  # there, so many pixels are too many already
        VisitorAnalysis(Settings(source="none")).analyze(data)


def test_usual_progressive_pictures_are_read_whatever_comes_after_their_end():
    data = many_scans(64, 40)
    assert decode_picture(data).shape == (64, 64, 3)
    film = b"\xff\xda" * 300 + random.Random(3).randbytes(1000)  # as phones append to a photo
    assert decode_picture(data + film).shape == (64, 64, 3)
    preview = b"\xff\xe2\x03\x02" + b"\xff\xda" * 384
    assert decode_picture(data[:2] + preview + data[2:]).shape == (64, 64, 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_many_frames_the_first_is_read(kind):
    assert decode_picture(encoded(kind, "RGB", 64, 48, None, "animated")).shape == (48, 64, 3)


def test_an_end_mark_in_a_comment_hides_no_scans():
    data = many_scans(64, 500)
    at = data.rindex(b"\xff\xda", 0, len(data) // 2)
    with pytest.raises(PictureError, match="too many scans"):
        decode_picture(data[:at] + b"\xff\xfe\x00\x04\xff\xd9" + data[at:])


def test_a_still_before_the_app_that_is_too_large_is_said_in_one_sentence(tmp_path):
    from benchmarks.actors.broken_pictures import declared_png

    file = tmp_path / "huge.png"
    file.write_bytes(declared_png(60_000, 60_000))
    with pytest.raises(CameraError, match=r"^huge\.png can't be shown; choose another file\. .*60000x60000 pixels"):
        open_source(str(file))
    assert Camera(str(file)).state.status == "idle"


@pytest.mark.parametrize("kind", ENDLESS)
def test_the_work_on_a_cameras_stream_grows_no_faster_than_what_it_sends(kind):
    def feed(size: int) -> None:
        splitter = JpegSplitter()
        splitter.feed(b"\xff\xd8\xff" + ENDLESS[kind] * (size // len(ENDLESS[kind])))

    assert lines_run(feed, 400_000) < 60_000


def nested(count: int) -> bytes:
    """Boxes that each claim to hold all of those after them."""
    track = struct.pack(">I4sI4s", 16, b"trak", 1 << 30, b"mdia")
    tracks = track * count
    return struct.pack(">I4s", 16, b"ftyp") + bytes(8) + struct.pack(">I4s", 8 + len(tracks), b"moov") + tracks


def test_the_work_on_a_videos_boxes_does_not_grow_with_the_square_of_their_number(tmp_path):
    file = tmp_path / "nested.mp4"

    def look(count: int) -> None:
        file.write_bytes(nested(count))
        promised_seconds(str(file))

    assert lines_run(look, 400) < 60_000
    assert lines_run(look, 4000) < 200_000


def test_the_work_on_an_avifs_boxes_does_not_grow_with_the_square_of_their_number():
    def look(count: int) -> None:
        lists = struct.pack(">I4sI4s", 16, b"ipco", 1 << 30, b"free") * count
        properties = struct.pack(">I4s", 8 + len(lists), b"iprp") + lists
        item = struct.pack(">I4sIH", 14, b"pitm", 0, 1)
        meta = struct.pack(">I4sI", 12 + len(item) + len(properties), b"meta", 0) + item + properties
        avif_turns(struct.pack(">I4s4sI", 16, b"ftyp", b"avif", 0) + meta)

    assert lines_run(look, 400) < 60_000
    assert lines_run(look, 4000) < 200_000
