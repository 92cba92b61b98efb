"""A webcam or an analysis that hangs, fails or ends: the app says so, and asks for a restart where only that helps."""

import json
import threading
import time

import cv2
import numpy as np
import pytest

from camera import Camera
from common.errors import CameraError
from common.settings import Settings
from live import health
from live import watch as live_watch
from live.watch import SmileWatch
from tests.waiting import always, eventually
from web.application import close_app, create_app

pytestmark = pytest.mark.slow


def is_well(event: dict) -> bool:
    return bool(event["faces"]) and not event["message"]


class Device:
    """A webcam whose `read()` can hang for ever, as drivers do."""

    interval = 0.0

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.answers = threading.Event()
        self.answers.set()

    def read(self) -> np.ndarray | None:
        self.answers.wait(60)
        time.sleep(0.02)
        return self.image.copy()

    def rewind(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Watching:
    """The app in this process with one viewer, on a camera that the test has in its hands."""

    def __init__(self, image: np.ndarray, read_timeout_s: float = 60.0) -> None:
        self.devices: list[Device] = []
        self._image = image
        camera = Camera("0", opener=self._open, read_timeout_s=read_timeout_s, retry_pauses_s=(2.0,))
        settings = Settings(source="0", joke_url="")
        self.watch = SmileWatch(settings, camera=camera)
        self.app = create_app(settings, watch=self.watch)
        self.client = self.app.test_client()
        self.events: list[str] = []
        self._thread = threading.Thread(target=self._look, name="viewer")

    def _open(self, _: str) -> Device:
        self.devices.append(Device(self._image))
        return self.devices[-1]

    def _look(self) -> None:
        for event in self.watch.stream.events(interval=0):
            self.events.append(event.decode())

    def __enter__(self) -> "Watching":
        self.watch.start()
        self._thread.start()
        eventually(lambda: self.watch.analysed > 2)
        return self

    def __exit__(self, *_) -> None:
        for device in self.devices:
            device.answers.set()
        close_app(self.app)
        self._thread.join(120)

    @property
    def health(self) -> tuple[int, str]:
        response = self.client.get("/healthz")
        return response.status_code, response.get_json()["status"]

    @property
    def told(self) -> list[dict]:
        return [json.loads(event[6:]) for event in self.events if event.startswith("data: ")]

    def said(self, words: str) -> bool:
        return any(words in event for event in self.events)


@pytest.fixture
def watching(astronaut):
    with Watching(astronaut[:360, :480]) as found:
        yield found


def test_a_driver_that_never_comes_back(astronaut):
    with Watching(astronaut[:360, :480], read_timeout_s=0.5) as watching:
        opened = len(watching.devices)
        watching.devices[-1].answers.clear()
        eventually(lambda: watching.said("sends no more pictures"))
        eventually(lambda: watching.health == (200, "ok") and len(watching.devices) > opened)
        before = watching.watch.analysed
        eventually(lambda: watching.watch.analysed > before + 3)


def test_a_webcam_that_changes_its_resolution(watching):
    def wait_for_width(width: int) -> dict:
        eventually(lambda: any(event["width"] == width and is_well(event) for event in watching.told[-3:]))
        return next(event for event in reversed(watching.told) if event["width"] == width and event["faces"])

    (device,) = watching.devices
    first = wait_for_width(480)["faces"][0]
    small, device.image = device.image, cv2.resize(device.image, (960, 720))
    second = wait_for_width(960)["faces"][0]
    assert second["id"] != first["id"], "places of before mean nothing in the new picture"
    assert second["box"]["right"] - second["box"]["left"] > 1.5 * (first["box"]["right"] - first["box"]["left"])
    device.image = small
    assert wait_for_width(480)["faces"][0]["box"]["right"] <= 480
    assert watching.health == (200, "ok")


def test_one_frame_that_can_not_be_analysed_is_not_seen(watching, monkeypatch):
    tracker = watching.watch._tracker
    update = tracker.update
    errors = [ZeroDivisionError()]

    def fail_once(image, now):
        if errors:
            raise errors.pop()
        return update(image, now)

    monkeypatch.setattr(live_watch, "_SAY_AFTER_S", 60.0)  # on a busy computer the frame before may be a second old
    monkeypatch.setattr(tracker, "update", fail_once)
    eventually(lambda: not errors)
    before = watching.watch.analysed
    eventually(lambda: watching.watch.analysed > before + 3)
    eventually(lambda: watching.health == (200, "ok"))
    assert 'smile_frames_dropped_total{reason="failed"} 1.0' in watching.client.get("/metrics").text
    assert not watching.said("could not be analysed"), "one frame in thirty is no news"


def test_an_analysis_that_fails_for_good_is_said_and_asks_for_a_restart(watching, monkeypatch, caplog):
    monkeypatch.setattr(health, "_HANGS_AFTER_S", 600.0)
    tracker = watching.watch._tracker
    update = tracker.update
    monkeypatch.setattr(tracker, "update", lambda *_: 1 / 0)

    def problems() -> list:
        return [record for record in caplog.records if record.msg == "problem"]

    eventually(lambda: watching.health == (200, "degraded"))
    eventually(lambda: watching.said("A picture could not be analysed (ZeroDivisionError)"))
    eventually(lambda: len(problems()) > 5)
    monkeypatch.setattr(health, "_HANGS_AFTER_S", 0.5)
    eventually(lambda: watching.health == (503, "failed"))
    assert "restart the app" in watching.client.get("/healthz").json["message"]
    monkeypatch.setattr(tracker, "update", update)
    eventually(lambda: watching.health == (200, "ok"))
    assert len({record.fields["message"] for record in problems()}) == 1, "one kind, which the log writes once a minute"


def test_an_analysis_that_hangs_asks_for_a_restart(watching, monkeypatch):
    monkeypatch.setattr(health, "_HANGS_AFTER_S", 0.5)
    tracker = watching.watch._tracker
    update = tracker.update
    goes_on = threading.Event()

    def hang(image, now):
        goes_on.wait(60)
        return update(image, now)

    monkeypatch.setattr(tracker, "update", hang)
    try:
        eventually(lambda: watching.health == (503, "failed"))
        assert watching.client.get("/").status_code == 200, "the page is still served"
    finally:
        goes_on.set()
    eventually(lambda: watching.health == (200, "ok"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_analysis_that_has_ended_asks_for_a_restart(watching, monkeypatch):
    class Ended(BaseException):
        pass

    def end(*_):
        raise Ended

    monkeypatch.setattr(watching.watch._tracker, "update", end)
    eventually(lambda: watching.health == (503, "failed"))
    assert "has ended; restart the app" in watching.client.get("/healthz").json["message"]


def test_a_lost_camera_does_not_ask_for_a_restart(watching, monkeypatch):
    def gone(_):
        raise CameraError("Camera 0 can't be opened.")

    monkeypatch.setattr(watching.watch.camera, "_opener", gone)
    monkeypatch.setattr(watching.devices[0], "read", lambda: None)
    eventually(lambda: watching.health == (200, "degraded"))
    eventually(lambda: watching.said("can't be opened"), "a card, once no frame is left to analyse")
    monkeypatch.setattr(health, "_HANGS_AFTER_S", 0.5)
    always(lambda: watching.health[0] == 200, seconds=1)


def test_health_says_how_long_and_how_long_ago(watching):
    health = watching.client.get("/healthz").json
    assert 0 <= health["seconds_since_frame"] <= health["uptime_s"]
    idle = create_app(Settings(source="0", joke_url=""))
    health = idle.test_client().get("/healthz").json
    assert (health["status"], health["seconds_since_frame"]) == ("ok", None)
    close_app(idle)
