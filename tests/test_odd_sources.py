"""What `--source` names: files with odd names, pipes, addresses with passwords, and the first device that sends pictures."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from camera import Camera
from common.errors import CameraError, SettingsError
from pictures import sources as picture_source
from pictures.sources import check_source, open_source
from tests.odd_videos import brightness, write_video


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("12:30 party.mp4", "http:party.mp4", "file:party.mp4"):
        write_video(tmp_path / "a.mp4").rename(tmp_path / name)
        check_source(name)
        source = open_source(name)
        assert source.read() is not None
        source.close()
    Path("rtsp:/cam").mkdir(parents=True)
    write_video(tmp_path / "a.mp4").rename(tmp_path / "rtsp:" / "cam" / "party.mp4")
    check_source("rtsp://cam/party.mp4")
    source = open_source("rtsp://cam/party.mp4")
    assert source.read() is not None
    source.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_said_at_the_start(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SettingsError, match="is a pipe"):
        check_source(str(tmp_path / "pipe.mp4"))
    for path in ("/dev/null", "/dev/zero"):
        with pytest.raises(SettingsError, match="is not a camera"):
            check_source(path)


@pytest.mark.parametrize("password", ["pa#ss", "pa/ss", "pa?ss"])
def test_a_password_with_marks_of_addresses_must_be_encoded(password):
    with pytest.raises(SettingsError, match="percent-encoded") as error:
        check_source(f"rtsp://admin:{password}@cam.local/live")
    assert password not in str(error.value)
    check_source(f"rtsp://admin:{password.translate({35: '%23', 47: '%2F', 63: '%3F'})}@cam.local:554/live@1")


@pytest.mark.parametrize("address", ["http://cam.local:8080/live@1", "http://cam.local/a:b@c", "http://[::1]:80/x@y"])
def test_an_at_sign_elsewhere_in_an_address_is_nothing_odd(address):
    check_source(address)


class Device:
    """A camera that sends a picture, nothing (None), or hangs."""

    interval = 0.0

    def __init__(self, number: int, pictures: bool) -> None:
        self.number = number
        self._pictures = pictures
        self.delivered = 0

    def read(self):
        time.sleep(0.01)
        self.delivered += self._pictures
        return np.full((48, 64, 3), 20 * self.number, np.uint8) if self._pictures else None

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_auto_goes_on_to_the_next_device_when_one_opens_and_sends_nothing(monkeypatch):
    opened = []

    def open_device(number):
        opened.append(number)
        if number == 1:
            raise CameraError("Camera 1 can't be opened.")
        return Device(number, pictures=number == 4)

    monkeypatch.setattr(picture_source, "_open_device", open_device)
    monkeypatch.setattr(picture_source, "_device_numbers", lambda: [0, 1, 2, 4])
    camera = Camera("auto", retry_pauses_s=(0.01,))
    camera.start()
    try:
        camera.want()
        frame = camera.wait_for_frame(after=0, timeout=120)
        assert frame is not None
        assert brightness(frame.image) == 4
        assert opened == [0, 1, 2, 4]
    finally:
        camera.stop()


def test_auto_comes_back_to_the_device_that_worked(monkeypatch):
    opened = []
    monkeypatch.setattr(picture_source, "_open_device", lambda number: opened.append(number) or Device(number, number == 2))
    monkeypatch.setattr(picture_source, "_device_numbers", lambda: [0, 2])
    opener = picture_source.opener_for("auto")
    assert opener("auto").read() is None
    assert opener("auto").read() is not None
    assert opener("auto").number == 2
    monkeypatch.setattr(picture_source, "_device_numbers", lambda: [0])
    assert opener("auto").number == 0, "it was unplugged"
