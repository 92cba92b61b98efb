"""Network cameras that send JPEGs one after the other over HTTP (`multipart/x-mixed-replace`), read with the limits of any
picture that somebody else made. FFmpeg has none for these: it takes a part without an end, or of any size, into memory.

    source = open_motion_jpeg("http://camera/stream")      # None: it sends something else
    image = source.read()                                  # uint8 BGR (h, w, 3), or None when it has stopped
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np

from errors import CameraError, PictureError
from picture_decoding import PictureTooCostly, check_picture, decode_checked

MAX_PIXELS = 34_000_000  # 8K
MAX_BYTES = 16 << 20  # of one picture
_TIMEOUT_S = 5.0
_CHUNK = 65_536
_MAX_HEAD = 8192


def open_motion_jpeg(url: str, *, called: str, timeout: float = _TIMEOUT_S) -> MotionJpeg | None:
    """Asks for `url`. None where something answers that is not such a stream. `called`: the camera, for sentences.

    `timeout`: seconds to connect, for each pause, and between two pictures. Raises CameraError.
    """
    try:
        response = _opener(url).open(_without_user(url), timeout=timeout)
    except http.client.HTTPException:
        return None  # some cameras speak a dialect
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise CameraError(f"{called} does not send video. Check the address and that the camera is on.") from error
    boundary = response.headers.get_param("boundary")
    if response.headers.get_content_maintype() != "multipart" or not isinstance(boundary, str) or not boundary.strip("-"):
        response.close()
        return None
    # Some write the dashes that introduce a boundary into its name.
    return MotionJpeg(response, b"--" + boundary.lstrip("-").encode("latin-1", "replace"), called, timeout)


class MotionJpeg:
    """See `camera.PictureSource`."""

    interval = 0.0

    def __init__(self, response: Any, boundary: bytes, called: str, timeout: float) -> None:
        self._response = response
        self._boundary = boundary
        self._called = called
        self._timeout = timeout
        self._data = bytearray()

    def read(self) -> np.ndarray | None:
        """The next picture; damaged ones are passed over. Raises CameraError for one that is too large."""
        deadline = time.monotonic() + self._timeout
        try:
            while time.monotonic() < deadline:
                part = self._part(deadline)
                if part is None:
                    return None
                try:
                    check_picture(part, most_pixels=MAX_PIXELS)
                    image = decode_checked(part)
                except PictureTooCostly as error:
                    raise CameraError(f"{self._called} can't be shown. {error}") from error
                except PictureError:
                    continue
                return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        except (OSError, http.client.HTTPException):
            pass
        return None

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        self._response.close()

    def _part(self, deadline: float) -> bytes | None:
        """What stands between two boundaries, without its head."""
        if self._find(self._boundary, deadline, drop=True) is None:
            return None
        end = self._find(b"\r\n\r\n", deadline, most=_MAX_HEAD)
        if end is None:
            return None
        head, self._data = bytes(self._data[:end]), self._data[end + 4 :]
        length = _content_length(head)
        if length is None:
            # With the line end, and perhaps dashes, before the boundary: after a picture's end they are passed over.
            length = self._find(self._boundary, deadline, most=MAX_BYTES)
        elif length > MAX_BYTES:
            self._refuse()
        if length is None:
            return None
        while len(self._data) < length:
            if not self._receive(deadline):
                return None
        part, self._data = bytes(self._data[:length]), self._data[length:]
        return part

    def _find(self, mark: bytes, deadline: float, *, most: int = 0, drop: bool = False) -> int | None:
        """Where `mark` is, waiting for it; None when it does not come. `drop`: what comes before it is thrown away."""
        begin = 0
        while (at := self._data.find(mark, begin)) < 0:
            begin = max(0, len(self._data) - len(mark) + 1)
            if drop:
                del self._data[:begin]
                begin = 0
            elif len(self._data) > most:
                self._refuse()
            if not self._receive(deadline):
                return None
        if drop:
            del self._data[: at + len(mark)]
        return at

    def _receive(self, deadline: float) -> bool:
        if time.monotonic() > deadline:
            return False
        data = self._response.read1(_CHUNK)
        self._data += data
        return bool(data)

    def _refuse(self) -> None:
        raise CameraError(f"{self._called} sends pictures of more than {MAX_BYTES >> 20} MB; set it to smaller ones.")


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit() and len(value) < 20:
            return int(value)
    return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    """For http and https only, with the user and password in `url`. Cameras sign their certificates themselves."""
    parts = urlsplit(url)
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        passwords.add_password(None, _without_user(url), unquote(parts.username), unquote(parts.password or ""))
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    ):
        opener.add_handler(handler)
    return opener


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
