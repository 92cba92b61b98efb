"""Open what `--source` names with OpenCV: a device, a video file, a still image or a network stream."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from common.errors import CameraError, PictureError, SettingsError
from common.urls import is_url, without_password
from pictures.decoding import decode_picture
from pictures.network_pictures import MAX_PIXELS, ask
from pictures.playback import DeviceSource, LiveStream, PictureSource, Recording, StillSource
from pictures.reading import is_still, read_bytes
from pictures.video_files import CaptureFrames, VideoReader

_CAMERA_MAJOR = 81  # of Linux's character devices
_NETWORK_TIMEOUT_MS = 5000


def opener_for(source: str) -> Callable[[str], PictureSource]:
    """The function that opens `source`, also again: `open_source`, or for `auto` an opener that remembers what it has
    tried.
    """
    return AnyDevice() if source == "auto" else open_source


def open_source(source: str) -> PictureSource:
    """Opens a camera number, path, URL or `auto`. Raises CameraError with a sentence for the user."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own sentence below says it better
    if source == "auto":
        return AnyDevice()(source)
    if source.isdigit():
        return _open_device(int(source))
    if source.startswith("/dev/"):
        return _open_device(source)
    if is_url(source) and not os.path.isfile(source):
        return _open_url(source)
    return _open_file(Path(source))


def check_source(source: str) -> None:
    """Raises SettingsError for a source that can never work, so that the app says so before it starts."""
    if source in ("auto", "none") or source.isdigit() or os.path.isfile(source):
        return
    if source.startswith("/dev/"):
        _check_device(source)
    elif "://" in source:
        if _has_raw_password(source):
            raise SettingsError(
                f"The password in {without_password(source)} holds a character that ends it early; "
                "write such characters percent-encoded: # as %23, / as %2F, ? as %3F, @ as %40."
            )
        if not is_url(source):
            raise SettingsError(f"The source {without_password(source)} must be an rtsp, http or https address.")
    elif not os.path.exists(source):  # unlike Path.exists(), it takes any text
        raise SettingsError(f"There is no file {source}; give --source a camera number, a file, a URL, auto or none.")
    elif os.path.isdir(source):
        raise SettingsError(f"{source} is a folder; give --source one video or picture file.")
    else:
        raise SettingsError(f"{source} is a pipe or a device; give --source a video or picture file, or a camera's number.")


def _check_device(path: str) -> None:
    try:
        state = os.stat(path)
    except OSError:  # it may be connected later
        return
    linux = sys.platform.startswith("linux")
    if not stat.S_ISCHR(state.st_mode) or (linux and os.major(state.st_rdev) != _CAMERA_MAJOR):
        raise SettingsError(f"{path} is not a camera; give --source one such as /dev/video0, a file, a URL, auto or none.")


def _has_raw_password(source: str) -> bool:
    """Whether `#`, `/` or `?` cut off the end of `user:password@`."""
    begin, mark, rest = re.match(r"[^:]*://([^/?#]*)([/?#]?)(.*)", source, re.DOTALL).groups()  # type: ignore[union-attr]
    _, colon, password = begin.rpartition(":")
    no_port = bool(colon) and not password.isdigit() and "]" not in password
    return bool(mark) and "@" not in begin and "@" in rest and no_port


class AnyDevice:
    """Opens the first camera of this computer that can be opened, or the next one if that sends nothing."""

    def __init__(self) -> None:
        self._last: tuple[int, DeviceSource] | None = None

    def __call__(self, source: str) -> DeviceSource:
        """`source`: always `auto`. Raises CameraError if no camera can be opened."""
        numbers = _device_numbers()
        if self._last is not None:
            last, device = self._last
            first = next((i for i, number in enumerate(numbers) if number >= last + (not device.delivered)), 0)
            numbers = numbers[first:] + numbers[:first]
        for number in numbers:
            try:
                device = _open_device(number)
            except CameraError:
                continue
            self._last = number, device
            return device
        found = "No camera was found on this computer" if not numbers else "No camera of this computer could be opened"
        raise CameraError(f"{found}. Connect one, or start the app with a video or picture file.")


def _device_numbers() -> list[int]:
    if not sys.platform.startswith("linux"):
        return [0, 1]
    names = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    return sorted(int(name) for name in names if name.isdigit())


def _open_device(device: int | str) -> DeviceSource:
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"Camera {device} can't be opened. Connect it, close other programs that use it, or start the app with another."
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return DeviceSource(capture)


def _open_url(url: str) -> PictureSource:
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _NETWORK_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _NETWORK_TIMEOUT_MS]

    def opened() -> CaptureFrames:
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
        if not capture.isOpened():
            capture.release()
            raise CameraError(f"{without_password(url)} does not send video. Check the address and that the camera is on.")
        _check_size(capture, without_password(url))
        return CaptureFrames(capture)

    recorded = False
    if urlsplit(url).scheme.lower().startswith("http"):
        answer = ask(url, without_password(url))
        if answer.pictures is not None:
            return answer.pictures
        recorded = answer.recorded
    return Recording(opened) if recorded else LiveStream(opened())


def _open_file(path: Path) -> PictureSource:
    def opened() -> VideoReader:
        try:
            reader = VideoReader(str(path))
        except PictureError as error:
            if not path.is_file():
                raise CameraError(f"There is no file {path.name} any more; put it back or choose another one.") from None
            if "holds no video" in str(error):
                raise CameraError(f"{path.name} holds no video, only sound; choose another file.") from None
            raise CameraError(f"{path.name} is not a video or picture that can be read; choose another file.") from error
        _check_size(reader.capture, path.name)
        return reader

    if not path.is_file() or not is_still(str(path)):
        return Recording(opened)
    try:
        return StillSource(decode_picture(read_bytes(str(path))))
    except PictureError as error:
        raise CameraError(f"{path.name} can't be shown; choose another file. {error}") from error


def _check_size(capture: cv2.VideoCapture, called: str) -> None:
    """Checks the size before a picture is decoded. Raises CameraError."""
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        capture.release()
        most = f"at most {MAX_PIXELS // 10**6} megapixels"
        raise CameraError(f"{called} has {width}x{height} pixels; set it to {most}, or start the app with another source.")
