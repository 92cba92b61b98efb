import base64
import gc
import hashlib
import itertools
import re
import time

import cv2
import numpy as np
import pytest

from camera import Camera
from common.errors import CameraError
from pictures.network_pictures import JpegSplitter
from pictures.sources import open_source
from tests.loopback import http_server
from tests.odd_videos import write_video
from tests.waiting import eventually

pytestmark = pytest.mark.slow


def jpeg(number: int, *, thumbnail: bool = False) -> bytes:
    data = cv2.imencode(".jpg", np.full((48, 64, 3), 20 * number, np.uint8))[1].tobytes()
    if not thumbnail:
        return data
    inner = b"Exif\0\0" + jpeg(9)
    return data[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + data[2:]


def brightness(image: np.ndarray) -> int:
    return round(float(image.mean()) / 20)


# --- finding pictures in bytes ---


@pytest.mark.parametrize("chunk", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("between", [b"", b"\r\n--cam\r\nContent-Type: image/jpg\r\n\r\n", b"\xff\xff\0text"])
def test_pictures_are_found_wherever_the_stream_is_cut(chunk, between):
    pictures = [jpeg(1), jpeg(2, thumbnail=True), progressive(3), jpeg(4)]
    stream = between.join([b"", *pictures, b""])
    splitter = JpegSplitter()
    found = [picture for at in range(0, len(stream), chunk) for picture in splitter.feed(stream[at : at + chunk])]
    assert found == pictures


def progressive(number: int) -> bytes:
    image = np.full((48, 64, 3), 20 * number, np.uint8)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1].tobytes()


def test_a_picture_that_breaks_off_does_not_swallow_the_next():
    splitter = JpegSplitter()
    found = splitter.feed(jpeg(1) + jpeg(2)[:-100] + jpeg(3) + b"\xff\xd8\xff\x05\0\x04ab no" + jpeg(4))
    assert found[0] == jpeg(1)
    assert found[-2:] == [jpeg(3), jpeg(4)]
    head_alone = b"\xff\xd8\xff\xe0\xff"  # whose length is made of what follows, and long
    assert splitter.feed(head_alone + jpeg(5) * 200)[-1] == jpeg(5)


def test_what_holds_no_picture_does_not_fill_the_memory():
    splitter = JpegSplitter()
    for _ in range(40):
        splitter.feed(b"x" * 10**6)
    assert splitter.unfinished < 10


# --- cameras ---


def send(request, kind: str, chunks, **headers: str) -> None:
    request.send_response(200)
    for name, value in (({"Content-Type": kind} if kind else {}) | headers).items():
        request.send_header(name, value)
    request.end_headers()
    for chunk in chunks:
        request.wfile.write(chunk)


def numbered(make):
    """For ever: what `make` makes of the pictures 1 to 9, again and again, 50 a second."""
    for number in itertools.cycle(range(1, 10)):
        yield make(jpeg(number))
        time.sleep(0.02)


STREAMS = {  # type, and a part
    "image/jpg": ("multipart/x-mixed-replace;boundary=c", lambda j: b"--c\r\nContent-Type: image/jpg\r\n\r\n" + j),
    "no headers": ("multipart/x-mixed-replace; boundary=cam", lambda j: b"--cam\r\n\r\n" + j + b"\r\n"),
    "first boundary missing": ("multipart/x-mixed-replace", lambda j: b"Content-Type: image/jpeg\r\n\r\n" + j + b"--x\r\n"),
    "text parts": ("multipart/mixed;boundary=c", lambda j: b"--c\r\nContent-Type: text/plain\r\n\r\n24\r\n--c\r\n\r\n" + j),
    "wrong length": ("multipart/x-mixed-replace", lambda j: b"--c\r\nContent-Length: 12\r\n\r\n" + j + b"\r\n"),
    "too long a length": ("multipart/x-mixed-replace", lambda j: b"--c\r\nContent-Length: 999999\r\n\r\n" + j + b"\r\n"),
    "pictures alone": ("application/octet-stream", lambda j: j),
    "no type at all": ("", lambda j: b"--c\r\nContent-Type: image/jpeg\r\n\r\n" + j + b"\r\n"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_jpegs_are_read_however_they_are_labelled(name):
    kind, part = STREAMS[name]
    with http_server(lambda request: send(request, kind, numbered(part))) as port:
        source = open_source(f"http://127.0.0.1:{port}/video")
        numbers = [brightness(source.read()) for _ in range(5)]
        source.close()
    assert source.interval == 0
    assert all(1 <= number <= 9 for number in numbers), numbers
    assert len(set(numbers)) > 1, "one after the other, if not every one"


def test_a_stream_that_ends_is_lost_and_one_without_pictures_is_said_in_words():
    with http_server(lambda request: send(request, "multipart/x-mixed-replace", [jpeg(1), b"--", jpeg(2)])) as port:
        source = open_source(f"http://127.0.0.1:{port}/video")
        while source.read() is not None:
            pass
        source.close()
    with http_server(lambda request: send(request, "multipart/x-mixed-replace", [b"--c\r\n\r\n21 C\r\n"] * 9)) as port:
        source = open_source(f"http://127.0.0.1:{port}/video")
        with pytest.raises(CameraError, match="sends no JPEG pictures"):
            source.read()
        source.close()
    page = http_server(lambda request: send(request, "text/html", [b"<html>"]))
    with page as port, pytest.raises(CameraError, match="web page"):
        open_source(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_address_of_a_picture_is_asked_again_and_again(suffix):
    asked = itertools.count(1)

    def snapshot(request):
        body = cv2.imencode(suffix, np.full((48, 64, 3), 20 * (next(asked) % 10), np.uint8))[1].tobytes()
        send(request, f"image/{suffix[1:]}", [body], **{"Content-Length": str(len(body))})

    with http_server(snapshot) as port:
        source = open_source(f"http://127.0.0.1:{port}/snapshot.cgi?channel=1")
        assert [brightness(source.read()) for _ in range(5)] == [1, 2, 3, 4, 5]
        source.close()


def test_a_snapshot_that_fails_is_lost_and_tried_again():
    answers = iter([jpeg(1), None, b"no picture", *[jpeg(3)] * 1000])

    def snapshot(request):
        body = next(answers)
        if body is None:
            request.send_error(503)
        else:
            send(request, "image/jpeg", [body])

    with http_server(snapshot) as port:
        camera = Camera(f"http://127.0.0.1:{port}/snapshot.jpg", retry_pauses_s=(0.01,))
        camera.start()
        camera.want()

        def third_is_shown() -> bool:
            camera.want()
            frame = camera.wait_for_frame(after=0, timeout=1.0)
            return frame is not None and brightness(frame.image) == 3

        eventually(third_is_shown)
        camera.stop()


# urllib leaves the connections of refused tries to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_cameras_with_passwords(scheme):
    def guarded(request):
        given = request.headers.get("Authorization", "")
        digest = hashlib.md5(b"admin:cam:p#ss").hexdigest()
        if scheme == "basic":
            right = given == "Basic " + base64.b64encode(b"admin:p#ss").decode()
        else:
            said = dict(re.findall(r'(\w+)="?([^",]+)', given))
            second = hashlib.md5(f"GET:{request.path}".encode()).hexdigest()
            wanted = hashlib.md5(f"{digest}:{said.get('nonce', '')}:{second}".encode()).hexdigest()
            right = given.startswith("Digest") and said["response"] == wanted
        if right:
            send(request, "multipart/x-mixed-replace", numbered(lambda j: b"--c\r\n\r\n" + j))
            return
        request.send_response(401)
        asked = 'Basic realm="cam"' if scheme == "basic" else 'Digest realm="cam", nonce="7"'
        request.send_header("WWW-Authenticate", asked)
        request.end_headers()

    with http_server(guarded) as port:
        source = open_source(f"http://admin:p%23ss@127.0.0.1:{port}/video?a=1")
        assert source.read() is not None
        source.close()
        for wrong in ("", "admin:no@"):
            with pytest.raises(CameraError, match=r"127\.0\.0\.1:\d+ wants a user name and a password") as error:
                open_source(f"http://{wrong}127.0.0.1:{port}/video")
            assert "no@" not in str(error.value)
    del error
    gc.collect()


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [("a.mp4", "mp4v", "video/mp4"), ("a.webm", "VP80", "video/webm"), ("a.ts", "MPG2", "video/mp2t")],
)
def test_a_recording_over_http_plays_by_its_time_stamps_and_begins_again(name, codec, kind, tmp_path):
    body = write_video(tmp_path / name, 4, rate=5, codec=codec).read_bytes()

    def serve(request):
        begin = int((re.match(r"bytes=(\d+)", request.headers.get("Range", "")) or [0, 0])[1])
        request.send_response(206 if begin else 200)
        request.send_header("Content-Type", kind)
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Length", str(len(body) - begin))
        request.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        request.end_headers()
        request.wfile.write(body[begin:])

    with http_server(serve) as port:
        source = open_source(f"http://127.0.0.1:{port}/{name}")
        seen = []
        for _ in range(20):
            image = source.read()
            if image is None:
                assert source.rewind()
            else:
                seen.append((brightness(image), round(source.interval, 2)))
        source.close()
    assert [number for number, _ in seen[:8]] == [0, 1, 2, 3] * 2
    assert {seconds for _, seconds in seen[1:]} == {0.2}
