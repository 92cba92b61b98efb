"""What goes wrong in the field: the app goes on, says what is wrong, and is well again once the fault is over."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack

import cv2
import numpy as np
import psutil
import pytest

from camera import Camera
from common.errors import CameraError
from common.settings import Settings
from live import health
from live.watch import SmileWatch
from tests.conftest import ROOT, RunningApp, arrivals, clean_environment, pictures, viewer
from tests.waiting import always, eventually
from web.application import close_app, create_app

pytestmark = pytest.mark.slow(60)


def is_well(event: dict) -> bool:
    return bool(event["faces"]) and not event["message"]


# --- cameras ---


def test_a_network_camera_that_stalls(run_app, network_camera):
    camera, url = network_camera
    app = run_app("--source", url)
    app.wait_for(is_well)
    picture = app.get("/snapshot.jpg")
    camera.mode = "silent"  # the connection stays open, and nothing more comes
    event = app.wait_for(lambda event: "Trying again" in event["message"])
    assert "127.0.0.1" in event["message"]
    assert event["faces"] == []
    card = cv2.imdecode(np.frombuffer(app.get("/snapshot.jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert not np.array_equal(card, cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)), "a card with words"
    health = app.json("/healthz")
    assert (health["status"], health["camera"]["status"]) in {("degraded", "lost"), ("ok", "opening")}
    assert health["seconds_since_frame"] > 0
    camera.mode = "live"
    app.wait_for(is_well)
    assert app.json("/healthz")["status"] == "ok"


def test_a_network_camera_that_closes_again_and_again(run_app, network_camera):
    camera, url = network_camera
    app = run_app("--source", url)
    app.wait_for(is_well)
    camera.mode = "closes"
    for _ in range(2):
        app.wait_for(lambda event: "stopped sending pictures" in event["message"])
        app.wait_for(is_well)
    camera.mode = "live"
    app.wait_for(is_well)
    before = app.json("/healthz")["frames"]["analysed"]
    eventually(lambda: app.event() and app.json("/healthz")["frames"]["analysed"] > before + 10)


@pytest.mark.parametrize("size", [(960, 720), (320, 240), (640, 360)])
def test_a_network_camera_that_changes_its_resolution(run_app, network_camera, size):
    camera, url = network_camera
    app = run_app("--source", url)
    event = app.wait_for(is_well)
    assert (event["width"], event["height"]) == (480, 360)
    camera.image = cv2.resize(camera.image, size)
    sent = camera.sent
    eventually(lambda: camera.sent > sent + 25)
    before = app.json("/healthz")["frames"]["analysed"]
    event = app.wait_for(lambda event: event["frame"] > before + 5 and is_well(event))
    assert (event["width"], event["height"]) == size
    assert 0.2 < event["faces"][0]["box"]["left"] / size[0] < 0.6
    assert app.json("/healthz")["status"] == "ok"


def test_damaged_pictures_between_good_ones(run_app, network_camera):
    camera, url = network_camera
    app = run_app("--source", url)
    app.wait_for(is_well)
    camera.mode = "damaged"
    sent, before = camera.sent, app.json("/healthz")["frames"]["analysed"]
    with viewer(app) as connection:
        eventually(lambda: len(pictures(connection, 2)) == 2 and camera.sent > sent + 10, "pictures go on")
    assert app.json("/healthz")["frames"]["analysed"] > before
    camera.mode = "live"
    app.wait_for(is_well)
    assert app.json("/healthz")["status"] == "ok"


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

    def __init__(self, image: np.ndarray) -> None:
        self.devices: list[Device] = []
        self._image = image
        camera = Camera("0", opener=self._open, read_timeout_s=0.5, retry_pauses_s=(0.3,))
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


def test_a_driver_that_never_comes_back(watching):
    first = watching.devices[0]
    first.answers.clear()
    eventually(lambda: watching.said("sends no more pictures"))
    eventually(lambda: watching.health == (200, "ok") and len(watching.devices) > 1)
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


# --- the analysis ---


def test_one_frame_that_can_not_be_analysed_is_not_seen(watching, monkeypatch):
    tracker = watching.watch._tracker
    update = tracker.update
    errors = [ZeroDivisionError()]

    def fail_once(image, now):
        if errors:
            raise errors.pop()
        return update(image, now)

    monkeypatch.setattr(tracker, "update", fail_once)
    eventually(lambda: not errors)
    before = watching.watch.analysed
    eventually(lambda: watching.watch.analysed > before + 3)
    eventually(lambda: watching.health == (200, "ok"))
    assert 'smile_frames_dropped_total{reason="failed"} 1.0' in watching.client.get("/metrics").text
    assert not watching.said("could not be analysed"), "one frame in thirty is no news"


def test_an_analysis_that_fails_for_good_is_said_and_asks_for_a_restart(watching, monkeypatch, caplog):
    monkeypatch.setattr(health, "_HANGS_AFTER_S", 2.0)
    tracker = watching.watch._tracker
    update = tracker.update
    monkeypatch.setattr(tracker, "update", lambda *_: 1 / 0)
    eventually(lambda: watching.health == (200, "degraded"))
    eventually(lambda: watching.said("A picture could not be analysed (ZeroDivisionError)"))
    eventually(lambda: watching.health == (503, "failed"))
    assert "restart the app" in watching.client.get("/healthz").json["message"]
    monkeypatch.setattr(tracker, "update", update)
    eventually(lambda: watching.health == (200, "ok"))
    problems = [record for record in caplog.records if record.msg == "problem"]
    assert len(problems) > 5
    assert len({record.fields["message"] for record in problems}) == 1, "one kind, which the log writes once a minute"


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
    monkeypatch.setattr(health, "_HANGS_AFTER_S", 0.5)

    def gone(_):
        raise CameraError("Camera 0 can't be opened.")

    monkeypatch.setattr(watching.watch.camera, "_opener", gone)
    monkeypatch.setattr(watching.devices[0], "read", lambda: None)
    eventually(lambda: watching.health == (200, "degraded"))
    always(lambda: watching.health[0] == 200, seconds=1)


def test_health_says_how_long_and_how_long_ago(watching):
    health = watching.client.get("/healthz").json
    assert 0 <= health["seconds_since_frame"] <= health["uptime_s"]
    idle = create_app(Settings(source="0", joke_url=""))
    health = idle.test_client().get("/healthz").json
    assert (health["status"], health["seconds_since_frame"]) == ("ok", None)
    close_app(idle)


# --- viewers ---


def test_a_viewer_who_stops_reading_costs_the_others_nothing(run_app, face_video):
    app = run_app("--source", face_video)
    app.wait_for(is_well)
    with viewer(app) as reading, viewer(app, receive_buffer=4096) as stuck:
        stuck.recv(64)
        reading.recv(64)
        numbers = pictures(reading, 60)
    assert len(set(numbers)) == 60, "pictures go on, each a new one"


def test_two_hundred_viewers_who_vanish_while_one_stays(run_app, face_video):
    app = run_app("--source", face_video, "--viewer-limit", "250")
    process = psutil.Process(app.process.pid)
    with viewer(app) as staying:
        pictures(staying, 1)
        before = process.num_fds()
        end = threading.Event()
        seen: list[int] = []

        def stay() -> None:
            for arrival in arrivals(staying):
                seen.append(arrival.number)
                if end.is_set():
                    return

        thread = threading.Thread(target=stay)
        thread.start()
        with ExitStack() as stack:
            for i in range(200):
                connection = stack.enter_context(viewer(app))
                if i % 2:  # half of them end with a reset instead of a goodbye
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            eventually(lambda: app.json("/healthz")["viewers"] == 201)
        eventually(lambda: app.json("/healthz")["viewers"] == 1)
        eventually(lambda: process.num_fds() <= before + 3)
        end.set()
        thread.join(60)
        assert len(pictures(staying, 5)) == 5, "pictures go on for the one who stayed"
        assert len(seen) > 5
    eventually(lambda: app.json("/healthz")["viewers"] == 0)


# --- the computer ---

JUMPING_CLOCK = """
import os, time
_real = time.time
def _jumped():
    try:
        with open(os.environ["CLOCK"]) as file:
            return _real() + float(file.read() or 0)
    except OSError:
        return _real()
time.time = _jumped
"""


def test_a_clock_that_is_set_anew(run_app, face_video, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(JUMPING_CLOCK)
    clock = tmp_path / "clock"
    clock.write_text("0")
    app = run_app("--source", face_video, environ={"PYTHONPATH": str(tmp_path), "CLOCK": str(clock)})
    with viewer(app) as connection:
        earlier = app.wait_for(is_well)
        for days in (-400, 400):
            (tmp_path / "new").write_text(str(days * 86400))
            (tmp_path / "new").replace(clock)
            later = app.wait_for(lambda event, before=earlier: abs(event["time"] - before["time"]) > 86400)
            assert is_well(later), "nothing was lost"
            assert later["faces"][0]["id"] == earlier["faces"][0]["id"], "not even whose face it is"
            assert len(pictures(connection, 5)) == 5, "the stream goes on"
            health = app.json("/healthz")
            assert health["status"] == "ok"
            assert 0 <= health["seconds_since_frame"] < 60
            assert health["uptime_s"] < 3600
            earlier = later
    eventually(lambda: app.json("/healthz")["camera"]["status"] == "idle")
    app.stop()
    assert app.process.returncode == 0


def test_killed_and_started_again_at_once_on_the_same_port(run_app, face_video):
    app = run_app("--source", face_video)
    with viewer(app) as connection:
        assert pictures(connection, 1)
        app.process.kill()
        app.process.wait(120)
        again = run_app("--source", face_video, "--port", str(app.port))
    assert again.port == app.port
    again.wait_for(is_well)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_full_disk_under_the_log(network_camera, log_format):
    camera, url = network_camera
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    options = ["--port", str(port), "--source", url, "--joke-url", "", "--log-format", log_format]
    with open("/dev/full", "w") as full:
        process = subprocess.Popen(
            [sys.executable, "app.py", *options], cwd=ROOT, stdout=full, stderr=full, env=clean_environment()
        )
    try:
        app = RunningApp(process, f"http://127.0.0.1:{port}")
        eventually(lambda: process.poll() is not None or answers(app))
        app.wait_for(is_well)
        camera.mode = "dead"  # something to log
        app.wait_for(lambda event: bool(event["message"]))
        camera.mode = "live"
        app.wait_for(is_well)
        app.stop()
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait(120)


def answers(app: RunningApp) -> bool:
    try:
        return app.json("/healthz")["status"] == "ok"
    except (urllib.error.URLError, ConnectionError):
        return False
