"""What goes wrong round the app - network cameras, viewers, the computer: it goes on, says so, and is well again later."""

import os
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack

import cv2
import numpy as np
import psutil
import pytest

from tests.project import ROOT, clean_environment
from tests.running import RunningApp, arrivals, pictures, viewer
from tests.waiting import eventually

pytestmark = pytest.mark.slow(35)


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
    event = app.wait_for(lambda event: (event["width"], event["height"]) == size and is_well(event))
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


# --- viewers ---


def test_a_viewer_who_stops_reading_costs_the_others_nothing(run_app, face_video):
    app = run_app("--source", face_video)
    app.wait_for(is_well)
    with viewer(app) as reading, viewer(app, receive_buffer=4096) as stuck:
        stuck.recv(64)
        reading.recv(64)
        numbers = pictures(reading, 60)
    assert len(numbers) == 60
    assert len(set(numbers)) > 30, "pictures go on; after a second without a new one the last is repeated"


def test_a_hundred_viewers_who_vanish_while_one_stays(run_app, face_video):
    app = run_app("--source", face_video, "--viewer-limit", "150")
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
            for i in range(100):
                connection = stack.enter_context(viewer(app))
                if i % 2:  # half of them end with a reset instead of a goodbye
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            eventually(lambda: app.json("/healthz")["viewers"] == 101)
        eventually(lambda: app.json("/healthz")["viewers"] == 1)
        eventually(lambda: process.num_fds() <= before + 3)
        eventually(lambda: len(seen) > 5)
        end.set()
        thread.join(60)
        assert len(pictures(staying, 5)) == 5, "pictures go on for the one who stayed"
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
