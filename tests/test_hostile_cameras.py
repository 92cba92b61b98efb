"""Network cameras that send too much, or what is no picture: one sentence, and memory that stays."""

import base64
import threading
import time

import cv2
import numpy as np
import pytest

from common.errors import CameraError
from pictures.network_pictures import MAX_BYTES, JpegStream, ask
from pictures.playback import LiveStream, Recording
from pictures.sources import open_source
from tests.loopback import http_server
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

PICTURE = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()


def serve(parts: list[bytes], kind: str = "multipart/x-mixed-replace; boundary=cam", more=lambda request: None):
    def answer(request) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.end_headers()
        for part in parts:
            request.wfile.write(part)
        more(request)

    return http_server(answer)


def part(data: bytes, *head: str, boundary: str = "--cam") -> bytes:
    return f"{boundary}\r\n{''.join(f'{line}' + chr(13) + chr(10) for line in head)}\r\n".encode() + data + b"\r\n"


def opened(port: int) -> JpegStream:
    source = open_source(f"http://127.0.0.1:{port}/stream")
    assert isinstance(source, JpegStream)
    return source


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [("cam", "--cam"), ('"cam"', "--cam"), ("--cam", "--cam"), ("----cam", "----cam"), ("----cam", "------cam")],
)
@pytest.mark.parametrize("head", [[], ["Content-Length: LENGTH"], ["content-type: image/jpeg", "CONTENT-LENGTH:LENGTH"]])
def test_pictures_come_in_their_order(kind, boundary, head):
    pictures = [cv2.imencode(".jpg", np.full((16, 16, 3), 20 * i, np.uint8))[1].tobytes() for i in range(1, 6)]
    parts = [part(p, *(line.replace("LENGTH", str(len(p))) for line in head), boundary=boundary) for p in pictures]
    ending = [boundary.encode() + b"--\r\n"]
    with serve([b"garbage\r\n", *parts, *ending], f"multipart/x-mixed-replace;boundary={kind}") as port:
        source = opened(port)
        images = [source.read() for _ in pictures]
        assert source.read() is None
        source.close()
    assert [round(image.mean() / 20) for image in images] == [1, 2, 3, 4, 5]
    assert all(image.shape == (16, 16, 3) for image in images)


def test_a_picture_of_too_many_pixels_is_not_decoded():
    at = PICTURE.index(b"\xff\xc0") + 5
    sizes = (9000).to_bytes(2, "big") + (16_000).to_bytes(2, "big"), (60_000).to_bytes(2, "big") * 2
    huge = [PICTURE[:at] + size + PICTURE[at + 4 :] for size in sizes]
    with serve([part(PICTURE), part(huge[0]), part(huge[1]), b"--cam--"]) as port:
        source = opened(port)
        assert source.read() is not None
        for size in ("16000x9000", "60000x60000"):
            with pytest.raises(CameraError, match=size):
                source.read()
        source.close()


@pytest.mark.parametrize("head", [b"--cam\r\n\r\n", b"--cam\r\nContent-Length: 999999999999\r\n\r\n"])
def test_a_part_without_an_end_takes_no_memory_without_an_end(head):
    sent = [0]

    def endless(request) -> None:
        while True:
            request.wfile.write(bytes(65_536))
            sent[0] += 65_536

    with serve([part(PICTURE), head + b"\xff\xd8\xff\xda\0\x04ab"], more=endless) as port:
        source = opened(port)
        assert source.read() is not None
        with pytest.raises(CameraError, match="more than 16 MB"):
            source.read()
        assert source._splitter.unfinished <= MAX_BYTES + 65_536
        source.close()
    assert sent[0] < 4 * MAX_BYTES


def test_damaged_pictures_are_passed_over_and_a_silent_camera_is_left():
    cut = PICTURE[: len(PICTURE) // 3]
    parts = [part(cut[:20]), part(b"no picture"), part(b""), part(PICTURE), b"--cam\r\n"]
    left = threading.Event()
    with serve(parts, more=lambda _: left.wait(20)) as port:
        source = ask(f"http://127.0.0.1:{port}/", "It", timeout=3.0).pictures  # of silence, which there is only at the end
        assert source.read() is not None
        assert source.read() is None
        left.set()
        source.close()


def test_garbage_without_an_end_is_left_after_a_while():
    def garbage(request) -> None:
        for _ in range(2000):
            request.wfile.write(bytes(range(256)) * 80)
            time.sleep(0.001)

    with serve([], more=garbage) as port:
        source = ask(f"http://127.0.0.1:{port}/", "It", timeout=PATIENCE_S).pictures
        source._timeout = 0.3
        with pytest.raises(CameraError, match="no JPEG pictures"):
            source.read()
        assert source._splitter.unfinished < 100_000
        source.close()


@pytest.mark.parametrize("way", ["Basic", "Digest"])
def test_user_and_password_in_the_address_are_given(way):
    asked: list[str] = []

    def answer(request) -> None:
        asked.append(request.headers.get("Authorization", ""))
        if not asked[-1]:
            request.send_response(401)
            nonce = ', nonce="abc", qop="auth"' if way == "Digest" else ""
            request.send_header("WWW-Authenticate", f'{way} realm="camera"{nonce}')
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cam")
        request.end_headers()
        request.wfile.write(part(PICTURE) + b"--cam--")

    with http_server(answer) as port:
        source = open_source(f"http://me:p%40ss@127.0.0.1:{port}/stream")
        assert source.read() is not None
        source.close()
    if way == "Basic":
        assert asked[-1] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    else:
        assert 'username="me"' in asked[-1]


def test_a_camera_that_refuses_is_said_in_one_sentence():
    sentence = r"^http://127\.0\.0\.1:\d+ does not send video\. Check the address"
    with http_server(lambda request: request.send_error(403)) as port, pytest.raises(CameraError, match=sentence):
        open_source(f"http://me:secret@127.0.0.1:{port}/stream")


def test_what_is_another_kind_of_video_is_left_to_ffmpeg(face_video):
    data = face_video.read_bytes()
    with serve([data], "video/x-msvideo") as port:
        source = open_source(f"http://127.0.0.1:{port}/face.avi")
        assert isinstance(source, (Recording, LiveStream))
        assert source.read().shape == (360, 480, 3)
        source.close()


def test_a_video_of_too_many_pixels_is_refused_before_it_is_read(monkeypatch, face_video):
    monkeypatch.setattr("pictures.sources.MAX_PIXELS", 480 * 360 - 1)
    with pytest.raises(CameraError, match="480x360 pixels"):
        open_source(str(face_video))
