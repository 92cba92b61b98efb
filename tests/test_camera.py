import threading
import time

import cv2
import numpy as np
import pytest

from camera import Camera, CameraState
from common.errors import CameraError
from tests.numbered_pictures import read_number
from tests.waiting import always, eventually

pytestmark = pytest.mark.slow

PICTURE = np.full((48, 64, 3), 90, np.uint8)


class FakeDevice:
    """A webcam as OpenCV shows it: `read()` blocks for the next picture; pull the plug with `alive = False`."""

    interval = 0.0

    def __init__(self) -> None:
        self.alive = True
        self.hang = threading.Event()
        self.hang.set()
        self.closed = 0

    def read(self):
        self.hang.wait(120)
        time.sleep(0.01)
        return PICTURE.copy() if self.alive else None

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        self.closed += 1


class RecordedCamera(Camera):
    """Keeps every state that it was ever in: on a busy computer one may be over before a test looks."""

    def __init__(self, *values, **options) -> None:
        self.states: list[CameraState] = []
        self.seen = 0  # states before are over for the test
        super().__init__(*values, **options)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "_state":
            assert isinstance(value, CameraState)
            self.states.append(value)


@pytest.fixture
def start_camera():
    cameras = []

    def start(source="0", **options) -> RecordedCamera:
        camera = RecordedCamera(source, **options)
        cameras.append(camera)
        camera.start()
        camera.want()
        return camera

    yield start
    for camera in cameras:
        camera.stop()


def wait_for(camera: RecordedCamera, status: str) -> str:
    """The message of the first state of that status since the one that was waited for last."""

    def reached() -> bool:
        camera.want()
        return any(state.status == status for state in camera.states[camera.seen :])

    eventually(reached, lambda: f"still {camera.state}")
    camera.seen = next(i for i in range(camera.seen, len(camera.states)) if camera.states[i].status == status)
    return camera.states[camera.seen].message


def test_nothing_is_opened_before_somebody_wants_it():
    opened = []
    camera = Camera("0", opener=lambda source: opened.append(source) or FakeDevice())
    camera.start()
    assert camera.wait_for_frame(after=0, timeout=0.2) is None
    assert opened == []
    assert camera.state.status == "idle"
    camera.stop()


def test_only_the_newest_frame_is_kept(start_camera):
    camera = start_camera(opener=lambda _: FakeDevice())
    first = camera.wait_for_frame(after=0, timeout=120)
    eventually(lambda: camera.captured > first.number + 5)
    later = camera.wait_for_frame(after=first.number, timeout=120)
    assert later.number > first.number + 3
    assert later.time > first.time
    assert later.image.shape == (48, 64, 3)


def test_a_video_plays_at_its_own_rate_and_loops(start_camera, face_video, tmp_path):
    short = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    started = time.monotonic()
    camera = start_camera(str(short), idle_release_s=600)
    camera.wait_for_frame(after=15, timeout=120)
    camera.wait_for_frame(after=59, timeout=120)
    elapsed = time.monotonic() - started
    assert camera.captured >= 60, "0.5 s of video went on after its end, again and again"
    assert elapsed > 1.5, "59 frames at 20 a second take 3 s, less what a late reader may catch up"


def test_a_video_that_does_not_loop_ends_in_words(start_camera, tmp_path):
    short = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter.fourcc(*"MJPG"), 50, (64, 48))
    for _ in range(5):
        writer.write(PICTURE)
    writer.release()
    camera = start_camera(str(short), loop=False)
    assert "ended" in wait_for(camera, "ended")
    assert camera.captured == 5


def test_a_still_picture_is_a_source_too(start_camera, face_picture):
    frame = start_camera(str(face_picture)).wait_for_frame(after=0, timeout=120)
    assert frame.image.shape == (400, 512, 3)


@pytest.mark.parametrize("name", ["page.mp4", "broken.jpg", "empty.mp4", "empty.png"])
def test_a_file_that_is_no_video_is_said_in_words(start_camera, tmp_path, name):
    path = tmp_path / name
    path.write_text("" if "empty" in name else "<html>this is not a video</html>" * 50)
    message = wait_for(start_camera(str(path)), "lost")
    assert name in message
    assert "choose another file" in message
    assert str(tmp_path) not in message, "a page does not show folders of this computer"


def test_an_absent_camera_is_said_in_words_and_tried_again(start_camera):
    tries = []

    def opener(source):
        tries.append(time.monotonic())
        raise CameraError("Camera 7 can't be opened. Connect it.")

    camera = start_camera("7", opener=opener, retry_pauses_s=(0.05, 0.1, 0.4))
    message = wait_for(camera, "lost")
    assert "Camera 7 can't be opened" in message
    assert "Trying again" in message
    eventually(lambda: camera.want() or len(tries) >= 5)
    assert np.all(np.diff(tries)[:4] >= [0.05, 0.1, 0.4, 0.4]), "the pauses grow"


def test_the_real_opener_says_that_there_is_no_such_camera(start_camera):
    assert "Camera 97 can't be opened" in wait_for(start_camera("97"), "lost")


def test_a_camera_that_dies_and_returns(start_camera):
    devices = []

    def opener(source):
        if devices and not devices[-1].alive and len(devices) == 1:
            devices.append(FakeDevice())
            raise CameraError("Camera 0 can't be opened.")
        devices.append(FakeDevice())
        return devices[-1]

    camera = start_camera(opener=opener, retry_pauses_s=(0.3, 0.1))
    wait_for(camera, "live")
    devices[0].alive = False
    assert "stopped sending pictures" in wait_for(camera, "lost")
    assert devices[0].closed == 1
    before = camera.captured
    wait_for(camera, "live")
    assert camera.wait_for_frame(after=before, timeout=120) is not None


def test_an_opening_that_hangs_is_given_up(start_camera):
    release = threading.Event()
    late = FakeDevice()

    def opener(source):
        release.wait(600)
        return late

    camera = start_camera(opener=opener, open_timeout_s=0.3, retry_pauses_s=(0.05,))
    assert "does not open; another program may use it" in wait_for(camera, "lost")
    eventually(lambda: camera.want() or "does not answer" in camera.state.message)
    readers = [thread for thread in threading.enumerate() if thread.name == "camera-reader"]
    assert len(readers) <= 3, "a camera that hangs for ever does not cost a thread a minute"
    camera.stop()
    release.set()
    eventually(lambda: late.closed == len(readers), "what was opened too late is closed again")


def test_a_read_that_hangs_is_given_up_and_the_source_opened_again(start_camera):
    devices = []

    def opener(source):
        devices.append(FakeDevice())
        return devices[-1]

    camera = start_camera(opener=opener, read_timeout_s=0.3, retry_pauses_s=(0.2,))
    wait_for(camera, "live")
    devices[0].hang.clear()
    assert "sends no more pictures" in wait_for(camera, "lost")
    wait_for(camera, "live")
    assert len(devices) >= 2
    devices[0].hang.set()


def test_a_driver_error_is_no_crash(start_camera):
    def opener(source):
        raise cv2.error("assertion failed")

    assert "Camera 0 failed" in wait_for(start_camera(opener=opener), "lost")


def test_the_camera_is_released_without_viewers_and_comes_back(start_camera):
    devices = []

    def opener(source):
        devices.append(FakeDevice())
        return devices[-1]

    camera = start_camera(opener=opener, idle_release_s=0.3)
    eventually(lambda: camera.want() or camera.captured)
    eventually(lambda: camera.state.status == "idle")
    eventually(lambda: all(device.closed == 1 for device in devices))
    opened, before = len(devices), camera.captured
    eventually(lambda: camera.want() or camera.captured > before)
    assert len(devices) > opened


def test_a_new_viewer_does_not_sit_out_a_long_pause(start_camera):
    answers = iter([CameraError("Camera 0 can't be opened."), FakeDevice()])

    def opener(source):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    camera = start_camera(opener=opener, idle_release_s=0.2, retry_pauses_s=(60,))
    eventually(lambda: camera.want() or camera.state.status == "lost")
    always(lambda: camera.state.status == "lost", seconds=0.4)  # nobody has wanted it for longer than `idle_release_s`
    eventually(lambda: camera.want() or camera.captured)


def test_a_network_camera_dies_hangs_and_returns(start_camera, network_camera):
    device, url = network_camera
    camera = start_camera(url, retry_pauses_s=(0.3,), read_timeout_s=1.0)
    frame = camera.wait_for_frame(after=0, timeout=120)
    assert frame.image.shape == (360, 480, 3)
    assert read_number(cv2.imencode(".jpg", frame.image)[1].tobytes()) < 200
    device.mode = "dead"
    wait_for(camera, "lost")
    device.mode = "live"
    wait_for(camera, "live")
    device.mode = "silent"
    assert "sends no more pictures" in wait_for(camera, "lost")
    device.mode = "live"
    wait_for(camera, "live")


def test_no_camera_by_choice(start_camera):
    assert "without a camera" in wait_for(start_camera("none"), "none")


def test_the_shared_videos_play(start_camera, shared_videos):
    for name, size in (("neutral_smile_neutral.mp4", (360, 640)), ("dim_webcam.avi", (480, 640))):
        frame = start_camera(str(shared_videos / name)).wait_for_frame(after=0, timeout=120)
        assert frame.image.shape[:2] == size
