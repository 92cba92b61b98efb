"""Pictures of HTTP cameras: streams of JPEGs (MJPEG) however their parts are labelled, and addresses of single pictures.

    answer = ask("http://192.168.1.7/video", "192.168.1.7")
    answer.pictures.read()                      # None in place of `pictures`: something else, for FFmpeg

The pictures of a stream are found by JPEG's own markers. Boundaries, types and lengths are often wrong or missing.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import numpy as np

from errors import CameraError, PictureError
from picture_decoding import PictureTooCostly, check_picture, decode_checked

if TYPE_CHECKING:
    import requests

_TIMEOUT_S = 5.0
_CHUNK = 1 << 16
MAX_BYTES = 16 << 20  # of one picture
MAX_PIXELS = 34_000_000  # 8K
_NOT_MORE_OFTEN_S = 1 / 30
# In a JPEG's compressed data: a marker that is neither a stuffed zero, a restart nor padding.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START = b"\xff\xd8\xff"
_PLAYLISTS = ("mpegurl", "dash+xml")


class JpegSplitter:
    """Cuts a stream of bytes into JPEGs, by their markers alone; a thumbnail inside another picture is no picture."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0  # up to here the first picture has been looked at
        self._inside = False  # `_data` begins with a picture
        self._in_scan = False

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that end in `data`. One that breaks off where the next begins is among them.

        Raises CameraError, for the name of the camera to stand before it, when one is too large.
        """
        self._data += data
        found = []
        while (picture := self._next()) is not None:
            found.append(picture)
        if len(self._data) > MAX_BYTES:
            raise CameraError(f"sends pictures of more than {MAX_BYTES >> 20} MB; set it to smaller ones.")
        return found

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
            if marker < 0:  # damaged: on to what may be the next
                self._restart(2)

    def _marker(self) -> int | None:
        """The next marker that ends the picture, -1 where there should be one and is none, None for want of bytes.

        Leaves `_at` there.
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
            if marker == 0xFF:  # padding
                self._at += 1
                continue
            if marker == 0 or marker == 1 or 0xD0 <= marker <= 0xD7:
                self._at += 2
                continue
            length = 2 + int.from_bytes(self._data[self._at + 2 : self._at + 4], "big")
            if self._at + length > len(self._data):
                return None
            self._at += length
            self._in_scan = marker == 0xDA

    def _restart(self, after: int) -> None:
        del self._data[:after]
        self._at, self._inside, self._in_scan = 0, False, False


class JpegStream:
    """A response that goes on for ever; see `playback.PictureSource`."""

    interval = 0.0

    def __init__(self, response: requests.Response, name: str, begun: bytes = b"") -> None:
        """`name` is for error messages. `begun`: what was read of the response already."""
        self._response = response
        self._name = name
        self._splitter = JpegSplitter()
        self._begun = begun
        self._pictures = 0

    def read(self) -> np.ndarray | None:
        """The newest picture that has come; None once no more do. Raises CameraError when what comes is no pictures."""
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            data, self._begun = self._begun or _some(self._response), b""
            for jpeg in reversed(_split(self._splitter, data, self._name)):  # older ones are late already
                image = _decode(jpeg, self._name)
                if image is None:  # damaged on its way
                    continue
                self._pictures += 1
                return image
            if not data or time.monotonic() > deadline:
                if not self._pictures:
                    raise CameraError(f"{self._name} sends no JPEG pictures; check the address.")
                return None

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        self._response.close()


class Snapshots:
    """An address of a single picture, asked for as often as it answers; see `playback.PictureSource`."""

    interval = 0.0

    def __init__(self, session: requests.Session, url: str, first: requests.Response, name: str) -> None:
        self._session = session
        self._name = name
        self._url = url
        self._response: requests.Response | None = first
        self._asked_at = time.monotonic()

    def read(self) -> np.ndarray | None:
        """The next picture; None when none comes or it can't be read."""
        if self._response is None:
            time.sleep(max(0.0, self._asked_at + _NOT_MORE_OFTEN_S - time.monotonic()))
            self._asked_at = time.monotonic()
            try:
                self._response = self._session.get(self._url, stream=True, timeout=_TIMEOUT_S)
            except OSError:  # as all errors of requests are
                return None
        response, self._response = self._response, None
        with response:
            if not response.ok:
                return None
            return _decode(_whole(response, self._name), self._name)

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._session.close()


@dataclass(frozen=True)
class Answer:
    """What an address turned out to be. `recorded`: a file of known length rather than something live."""

    pictures: JpegStream | Snapshots | None = None
    recorded: bool = False


def ask(url: str, name: str) -> Answer:
    """Asks for `url`, called `name` in error messages. Raises CameraError when it wants a password or sends a web page."""
    import requests  # not at import: most runs have no network camera
    from requests.auth import HTTPDigestAuth

    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    session = requests.Session()
    try:
        response = session.get(url, stream=True, timeout=_TIMEOUT_S)
        if response.status_code == 401 and user and "digest" in response.headers.get("WWW-Authenticate", "").lower():
            response.close()
            session.auth = HTTPDigestAuth(user, password)
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            response = session.get(url, stream=True, timeout=_TIMEOUT_S)
    except (requests.RequestException, UnicodeError):
        session.close()
        return Answer()  # FFmpeg may have more luck, such as with a certificate that nobody signed
    if response.status_code == 401:
        response.close()
        raise CameraError(f"{name} wants a user name and a password: http://user:password@host/...")
    if not response.ok:
        response.close()
        return Answer()
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        return Answer(JpegStream(response, name))
    if kind.startswith("image/"):
        return Answer(Snapshots(session, url, response, name))
    if kind in ("text/html", "application/xhtml+xml"):
        response.close()
        raise CameraError(f"{name} answers with a web page; give the address of its pictures or its video.")
    if kind in ("", "application/octet-stream", "text/plain") and "Content-Length" not in response.headers:
        begun = _some(response)
        if begun.lstrip().startswith((_START, b"--")):
            return Answer(JpegStream(response, name, begun))
    response.close()
    session.close()
    return Answer(recorded="Content-Length" in response.headers and not any(word in kind for word in _PLAYLISTS))


def _some(response: requests.Response) -> bytes:
    """What has come, at least a byte; nothing at the end or when the connection is lost."""
    try:
        return response.raw.read1(_CHUNK, decode_content=True) or b""
    except Exception:  # urllib3 and http.client have a dozen
        return b""


def _split(splitter: JpegSplitter, data: bytes, name: str) -> list[bytes]:
    try:
        return splitter.feed(data)
    except CameraError as error:
        raise CameraError(f"{name} {error}") from None


def _decode(data: bytes, name: str) -> np.ndarray | None:
    """None for a damaged picture. Raises CameraError for one that takes too much."""
    try:
        check_picture(data, most_pixels=MAX_PIXELS)
        return decode_checked(data)
    except PictureTooCostly as error:
        raise CameraError(f"{name} can't be shown. {error}") from error
    except PictureError:
        return None


def _whole(response: requests.Response, name: str) -> bytes:
    """The picture in `response`. A stream that goes on after its first JPEG is left there."""
    splitter = JpegSplitter()
    data = bytearray()
    while chunk := _some(response):
        data += chunk
        if found := _split(splitter, chunk, name):
            return found[0]
        if len(data) > MAX_BYTES:
            raise CameraError(f"{name} sends pictures of more than {MAX_BYTES >> 20} MB; set it to smaller ones.")
    return bytes(data)
