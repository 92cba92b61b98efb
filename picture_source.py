"""Open what `--source` names with OpenCV: a device, a video file, a still image or a network stream."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from errors import CameraError, PictureError, SettingsError
from media_files import read_bytes
from motion_jpeg import MAX_PIXELS, MotionJpeg, open_motion_jpeg
from picture_decoding import decode_picture

_STILL_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
_STILL_INTERVAL_S = 0.5
_NETWORK_TIMEOUT_MS = 5000


def open_source(source: str) -> VideoSource | StillSource | MotionJpeg:
    """Opens a device number, path, URL or `auto`. Raises CameraError with a sentence for the user."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the sentence below says it better
    if source == "auto":
        return _open_any_device()
    if source.isdigit():
        return _open_device(int(source))
    if source.startswith("/dev/"):
        return _open_device(source)
    if is_url(source):
        return _open_url(source)
    return _open_file(Path(source))


def check_source(source: str) -> None:
    """Raises SettingsError for a source that can never work, so that the app says so before it starts."""
    if source in ("auto", "none") or source.isdigit() or source.startswith("/dev/"):
        return
    if "://" in source:
        if not is_url(source):
            raise SettingsError(f"The source {without_password(source)} must be an rtsp, http or https address.")
    elif not os.path.exists(source):  # unlike Path.exists() it takes any text
        raise SettingsError(f"There is no file {source}; give --source a device number, a file, a URL, auto or none.")
    elif os.path.isdir(source):
        raise SettingsError(f"{source} is a folder; give --source one video or picture file.")


def is_url(source: str) -> bool:
    try:
        parts = urlsplit(source)
        return parts.scheme.lower() in ("rtsp", "rtsps", "http", "https") and bool(parts.hostname)
    except ValueError:  # brackets where none belong
        return False


def without_password(source: str) -> str:
    """`source` as it may be shown on a page: of a URL only scheme and host, since cameras take passwords in every part."""
    scheme, separator, rest = source.partition("://")
    if not separator:
        return Path(source).name
    return f"{scheme}://{re.split('[/?#]', rest.rpartition('@')[2])[0]}"


class VideoSource:
    """Device, video file or stream; see `camera.PictureSource`."""

    def __init__(self, capture: cv2.VideoCapture, interval: float) -> None:
        self._capture = capture
        self.interval = interval

    def read(self) -> np.ndarray | None:
        ok, image = self._capture.read()
        if not ok or image is None or image.size == 0:
            return None
        return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)

    def rewind(self) -> bool:
        return bool(self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0))

    def close(self) -> None:
        self._capture.release()


class StillSource:
    """One picture, again and again; see `camera.PictureSource`."""

    interval = _STILL_INTERVAL_S

    def __init__(self, image: np.ndarray) -> None:
        self._image = image

    def read(self) -> np.ndarray | None:
        return self._image.copy()

    def rewind(self) -> bool:
        return True

    def close(self) -> None:
        pass


def _open_any_device() -> VideoSource:
    if sys.platform.startswith("linux"):
        names = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
        numbers = sorted(int(name) for name in names if name.isdigit())
    else:
        numbers = [0, 1]
    for number in numbers:
        try:
            return _open_device(number)
        except CameraError:
            continue
    found = "No camera was found on this computer" if not numbers else "No camera of this computer could be opened"
    raise CameraError(f"{found}. Connect one, or start the app with --source FILE.")


def _open_device(device: int | str) -> VideoSource:
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        capture.release()
        raise CameraError(
            f"Camera {device} can't be opened. Connect it, end other programs that use it, or choose another --source."
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return VideoSource(capture, interval=0)


def _open_url(url: str) -> VideoSource | MotionJpeg:
    if url.lower().startswith("http"):
        pictures = open_motion_jpeg(url, called=without_password(url))
        if pictures is not None:
            return pictures
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _NETWORK_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _NETWORK_TIMEOUT_MS]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"{without_password(url)} does not send video. Check the address and that the camera is on.")
    _check_size(capture, without_password(url))
    recorded = capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    return VideoSource(capture, interval=_interval(capture) if recorded else 0)


def _open_file(path: Path) -> VideoSource | StillSource:
    if not path.is_file():
        raise CameraError(f"There is no file {path.name} any more; put it back or choose another --source.")
    if path.suffix.lower() in _STILL_SUFFIXES:
        try:
            return StillSource(decode_picture(read_bytes(str(path))))
        except PictureError as error:
            raise CameraError(f"{path.name} can't be shown; choose another file. {error}") from error
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"{path.name} is not a video or picture that can be read; choose another file.")
    _check_size(capture, path.name)
    return VideoSource(capture, interval=_interval(capture))


def _check_size(capture: cv2.VideoCapture, called: str) -> None:
    """Raises CameraError before a picture is made."""
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        capture.release()
        most = f"at most {MAX_PIXELS // 10**6} megapixels"
        raise CameraError(f"{called} has {width}x{height} pixels; set it to {most}, or choose another --source.")


def _interval(capture: cv2.VideoCapture) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return 1 / rate if 1 <= rate <= 240 else 1 / 25
