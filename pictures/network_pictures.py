"""Pictures from HTTP cameras: streams of JPEGs (MJPEG), however their parts are labelled, and addresses of single pictures.

    answer = ask("http://192.168.1.7/video", "192.168.1.7")
    answer.pictures.read()                      # if `pictures` is None, it is something else, for FFmpeg

Pictures in a stream are found by JPEG's own markers, because boundaries, types and lengths are often wrong or missing. They
have the limits of any picture that a stranger made. FFmpeg would take a part of any size, even one without an end, into
memory.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import CameraError, PictureError, PictureTooCostly
from common.http_opener import opener_for, without_user
from pictures.decoding import check_picture, decode_checked
from pictures.picture_size import MOST_MARKERS

MAX_PIXELS = 34_000_000  # 8K
MAX_BYTES = 16 << 20  # of one picture
_TIMEOUT_S = 5.0
_CHUNK = 1 << 16
_MOST_WAITING = 8  # pictures; if more wait, the newest of them
_NOT_MORE_OFTEN_S = 1 / 30
# In a JPEG's compressed data: a marker other than a stuffed zero, a restart or padding.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Between segments: padding before a marker, and markers without a length. A camera may send megabytes of these.
_NO_SEGMENT = re.compile(rb"(?:\xff[\x00\x01\xd0-\xd7]|\xff(?=\xff))*+")
_START = b"\xff\xd8\xff"
_PLAYLISTS = ("mpegurl", "dash+xml")


class JpegSplitter:
    """Cuts a stream of bytes into JPEGs by their markers alone. A thumbnail inside a picture does not count."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0  # the first picture has been looked at up to here
        self._inside = False  # `_data` begins with a picture
        self._in_scan = False
        self._markers = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that end in `data`, also those that break off where the next one begins."""
        self._data += data
        found = []
        while (picture := self._next()) is not None:
            found.append(picture)
        return found

    @property
    def unfinished(self) -> int:
        """How many bytes of the unfinished picture have come."""
        return len(self._data)

    def _next(self) -> bytes | None:
        while True:
            if not self._inside:
                start = self._data.find(_START)
                self._restart(start if start >= 0 else max(0, len(self._data) - 2))
                if start < 0:
                    return None
                self._inside, self._at = True, 2
            marker = self._marker()
            if marker is None:
                return None
            if marker in (0xD9, 0xD8):
                end = self._at + (2 if marker == 0xD9 else 0)
                picture = bytes(self._data[:end])
                self._restart(end)
                return picture
            if marker < 0:  # damaged: go on to what may be the next picture
                self._restart(2)

    def _marker(self) -> int | None:
        """Where the marker is that ends the picture; -1 if it should be there and is not; None if more bytes must come.

        Leaves `_at` at that place.
        """
        while True:
            if self._in_scan:
                match = _MARKER.search(self._data, self._at)
                if match is None:
                    self._at = max(self._at, len(self._data) - 1)
                    return None
                self._at, self._in_scan = match.start(), False
            if self._at + 4 > len(self._data):
                end = self._data[self._at : self._at + 2]
                return 0xD9 if end == b"\xff\xd9" else None
            if self._data[self._at] != 0xFF:
                return -1
            marker = self._data[self._at + 1]
            if marker in (0xD8, 0xD9):
                return marker
            if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD7:
                match = _NO_SEGMENT.match(self._data, self._at)
                if match is None or match.end() == self._at:  # more must come
                    return None
                self._at = match.end()
                continue
            self._markers += 1
            if self._markers > MOST_MARKERS:
                return -1
            length = 2 + int.from_bytes(self._data[self._at + 2 : self._at + 4], "big")
            if self._at + length > len(self._data):
                return None
            self._at += length
            self._in_scan = marker == 0xDA

    def _restart(self, after: int) -> None:
        del self._data[:after]
        self._at, self._inside, self._in_scan, self._markers = 0, False, False, 0


class JpegStream:
    """Pictures from a response that goes on for ever; see `pictures.playback.PictureSource`."""

    interval = 0.0

    def __init__(self, response: Any, called: str, *, begun: bytes = b"", timeout: float = _TIMEOUT_S) -> None:
        """`called`: the camera's name in sentences. `begun`: what was already read of `response`. `timeout`: seconds between
        pictures.
        """
        self._response = response
        self._called = called
        self._timeout = timeout
        self._splitter = JpegSplitter()
        self._waiting = deque(self._splitter.feed(begun), maxlen=_MOST_WAITING)
        self._any = False

    def read(self) -> np.ndarray | None:
        """The next picture, without damaged ones. None if no more come.

        Raises CameraError for a picture that is too large, and if none came at all.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            while self._waiting:
                image = _decoded(self._waiting.popleft(), self._called)
                if image is not None:
                    self._any = True
                    return image
            data = _some(self._response)
            if not data or time.monotonic() > deadline:
                if not self._any:
                    raise CameraError(f"{self._called} sends no JPEG pictures; check the address.")
                return None
            self._waiting.extend(self._splitter.feed(data))
            if self._splitter.unfinished > MAX_BYTES:
                raise CameraError(_too_large(self._called))

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        self._response.close()


class Snapshots:
    """An address of a single picture, asked again and again; see `pictures.playback.PictureSource`."""

    interval = 0.0

    def __init__(self, url: str, called: str, first: Any) -> None:
        """`first`: the first response, which is already there."""
        self._url = url
        self._called = called
        self._opener = opener_for(url)
        self._response = first
        self._asked_at = time.monotonic()

    def read(self) -> np.ndarray | None:
        """The next picture; None if none comes or it can't be read. Raises CameraError for one that is too large."""
        if self._response is None:
            time.sleep(max(0.0, self._asked_at + _NOT_MORE_OFTEN_S - time.monotonic()))
            self._asked_at = time.monotonic()
            try:
                self._response = self._opener.open(without_user(self._url), timeout=_TIMEOUT_S)
            except (OSError, http.client.HTTPException, ValueError):
                return None
        response, self._response = self._response, None
        with response:
            return _decoded(_whole(response, self._called), self._called)

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


@dataclass(frozen=True)
class Answer:
    """What an address turned out to be. `recorded`: a file of known length, not live pictures."""

    pictures: JpegStream | Snapshots | None = None
    recorded: bool = False


def ask(url: str, called: str, *, timeout: float = _TIMEOUT_S) -> Answer:
    """Asks for `url`. `called`: the camera's name in sentences. `timeout`: seconds to connect, and between two pictures.

    Raises CameraError if it refuses, wants a password or sends a web page.
    """
    try:
        response = opener_for(url).open(without_user(url), timeout=timeout)
    except http.client.HTTPException:
        return Answer()  # some cameras speak a dialect
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 401:
            raise CameraError(f"{called} wants a user name and a password: http://user:password@host/...") from error
        raise CameraError(_sends_no_video(called)) from error
    except (OSError, ValueError) as error:
        raise CameraError(_sends_no_video(called)) from error
    kind = response.headers.get_content_type() if "Content-Type" in response.headers else ""
    length_known = "Content-Length" in response.headers
    if kind.startswith("multipart/"):
        return Answer(JpegStream(response, called, timeout=timeout))
    if kind.startswith("image/"):
        return Answer(Snapshots(url, called, response))
    if kind in ("", "application/octet-stream", "text/plain") and not length_known:
        begun = _some(response)
        if begun.lstrip().startswith((_START, b"--")):
            return Answer(JpegStream(response, called, begun=begun, timeout=timeout))
    response.close()
    if kind in ("text/html", "application/xhtml+xml"):
        raise CameraError(f"{called} answers with a web page; give the address of its pictures or its video.")
    return Answer(recorded=length_known and not any(word in kind for word in _PLAYLISTS))


def _sends_no_video(called: str) -> str:
    return f"{called} does not send video. Check the address and that the camera is on."


def _too_large(called: str) -> str:
    return f"{called} sends pictures of more than {MAX_BYTES >> 20} MB; set it to smaller ones."


def _decoded(data: bytes, called: str) -> np.ndarray | None:
    """The decoded picture; None for a damaged one. Raises CameraError for one that would cost too much."""
    try:
        check_picture(data, most_pixels=MAX_PIXELS)
        return decode_checked(data)
    except PictureTooCostly as error:
        raise CameraError(f"{called} can't be shown. {error}") from error
    except PictureError:
        return None


def _some(response: Any) -> bytes:
    """The bytes that have come, at least one; none at the end or if the connection is lost."""
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException, ValueError):
        return b""


def _whole(response: Any, called: str) -> bytes:
    """The picture in `response`. If it is a stream, reading stops after the first JPEG."""
    splitter = JpegSplitter()
    data = bytearray()
    while chunk := _some(response):
        data += chunk
        if found := splitter.feed(chunk):
            return found[0]
        if len(data) > MAX_BYTES:
            raise CameraError(_too_large(called))
    return bytes(data)
