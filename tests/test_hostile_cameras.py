"""Network cameras that send too much, or what is no picture: one sentence, and memory that stays."""

import base64

import cv2
import numpy as np
import pytest

from errors import CameraError
from network_pictures import MAX_BYTES, JpegStream
from picture_source import open_source
from playback import LiveStream
from tests.conftest import http_server

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


@pytest.mark.parametrize("size", ["16000x9000", "60000x60000"])
def test_a_picture_of_too_many_pixels_is_not_decoded(size):
    huge = bytearray(PICTURE)
    at = huge.index(b"\xff\xc0") + 5
    huge[at : at + 4] = (9000).to_bytes(2, "big") + (16_000).to_bytes(2, "big")
    if size == "60000x60000":
        huge[at : at + 4] = (60_000).to_bytes(2, "big") * 2
    with serve([part(bytes(huge)), b"--cam--"]) as port:
        source = opened(port)
        with pytest.raises(CameraError, match=size):
            source.read()
        source.close()


@pytest.mark.parametrize("begin", [PICTURE[:-2], PICTURE[:300]], ids=["in its pixels", "in its head"])
def test_a_part_without_an_end_takes_no_memory_without_an_end(begin):
    def endless(request) -> None:
        while True:
            request.wfile.write(b"\x01" * 65_536)

    with serve([b"--cam\r\n\r\n", begin], more=endless) as port:
        source = opened(port)
        with pytest.raises(CameraError, match=r"^http://127\.0\.0\.1:\d+ sends (pictures of more than 16 MB|no JPEG)"):
            source.read()
        assert len(source._splitter._data) <= MAX_BYTES + 65_536
        source.close()


@pytest.mark.parametrize("way", ["Basic", "Digest"])
def test_user_and_password_in_the_address_are_given(way):
    asked: list[str] = []

    def answer(request) -> None:
        asked.append(request.headers.get("Authorization", ""))
        if not asked[-1].startswith(way):
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
        assert isinstance(source, LiveStream)  # it says no length
        assert source.read().shape == (360, 480, 3)
        source.close()


def test_a_video_of_too_many_pixels_is_refused_before_it_is_read(monkeypatch, face_video):
    monkeypatch.setattr("picture_source.MAX_PIXELS", 480 * 360 - 1)
    with serve([face_video.read_bytes()], "video/x-msvideo") as port, pytest.raises(CameraError, match="480x360 pixels"):
        open_source(f"http://127.0.0.1:{port}/face.avi")
