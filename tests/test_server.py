"""The real process on loopback: many viewers, slow viewers, faults, and its end."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack

import psutil
import pytest

from tests.loopback import http_server
from tests.project import ROOT, clean_environment
from tests.running import Arrival, RunningApp, arrivals, pictures, viewer
from tests.waiting import PATIENCE_S, always, eventually

pytestmark = pytest.mark.slow(40)


def test_the_video_feed_is_a_multipart_stream_of_pictures(run_app, face_video):
    app = run_app("--source", face_video)
    with viewer(app) as connection:
        head = connection.recv(1024)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"multipart/x-mixed-replace; boundary=frame" in head
        assert b"no-store" in head
        numbers = pictures(connection, 10)
    assert len(set(numbers)) > 5, "the picture moves"
    assert numbers == sorted(numbers), "and goes forward"


def test_faces_are_boxed_and_read(run_app, face_video):
    app = run_app("--source", face_video)
    with viewer(app):  # when nobody watches for a second, faces are forgotten
        event = app.wait_for(lambda event: bool(event["faces"]))
        events = app.events(20)
    (face,) = event["faces"]
    assert set(face) == {"id", "box", "smile", "raw_smile", "label", "neutral"}
    assert face["box"]["left"] < 200 < face["box"]["right"]
    assert 0 <= face["smile"] <= 1
    assert {face["id"] for event in events for face in event["faces"]} == {face["id"]}, "a moving face keeps its id"
    assert all(event["faces"] for event in events)
    assert max(event["fps"] for event in events) > 0


def test_twenty_viewers_cost_one_analysis_a_frame(run_app, face_video):
    app = run_app("--source", face_video)
    with ExitStack() as stack:
        connections = [stack.enter_context(viewer(app)) for _ in range(20)]
        shown: list[set[int]] = [set() for _ in range(20)]
        end = threading.Event()

        def run(i: int) -> None:
            for arrival in arrivals(connections[i]):
                shown[i].add(arrival.number)  # a picture may come again, when there is no new one for a second
                if end.is_set():
                    return

        threads = [threading.Thread(target=run, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        eventually(lambda: min(map(len, shown)) > 10, lambda: f"everybody sees a moving picture: {shown}")
        assert app.json("/healthz")["viewers"] == 20
        end.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        frames = app.json("/healthz")["frames"]
    assert frames["analysed"] <= frames["captured"], "no frame was analysed twice"
    assert max(map(len, shown)) <= frames["analysed"] + 2, "and twenty of them saw the same one"
    eventually(lambda: app.json("/healthz")["viewers"] == 0, "places are free again")


def test_a_slow_viewer_lags_little_and_costs_the_others_nothing(run_app, face_video):
    app = run_app("--source", face_video)
    app.wait_for(lambda event: bool(event["faces"]))
    with viewer(app) as fast, viewer(app) as slow:
        quick: list[Arrival] = []
        late: list[Arrival] = []
        end = threading.Event()

        def read(connection: socket.socket, seen: list[Arrival], bytes_per_second: float) -> None:
            for arrival in arrivals(connection, bytes_per_second):
                seen.append(arrival)
                if end.is_set():
                    return

        threads = [threading.Thread(target=read, args=(fast, quick, 0))]
        threads[0].start()
        eventually(lambda: len(quick) > 20)
        rate = (quick[20].received - quick[0].received) / (quick[20].at - quick[0].at)
        threads.append(threading.Thread(target=read, args=(slow, late, rate / 8)))
        threads[1].start()
        eventually(lambda: late and late[-1].received > 700_000)
        end.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    shown = {arrival.number: arrival.at for arrival in quick}
    lags = []  # in bytes that it read meanwhile: what stood in a queue for it
    for arrival in late:
        if arrival.number in shown:
            before_that = [other.received for other in late if other.at <= shown[arrival.number]]
            lags.append(arrival.received - max(before_that, default=0))
    assert len(lags) > 5, "the slow viewer sees a moving picture"
    assert max(lags) < 400_000, lags
    assert len(late) < 0.8 * len(quick), "the slow viewer skipped pictures, or this test proves nothing"


def test_over_the_limit_there_is_a_plain_503(run_app, face_video):
    app = run_app("--source", face_video, "--viewer-limit", "2")
    with viewer(app) as first, viewer(app) as second:
        first.recv(1024)
        second.recv(1024)
        third = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)
        third.request("GET", "/video_feed")
        response = third.getresponse()
        assert response.status == 503
        sentence = "All 2 places are taken. Close another tab, or try again in a moment."
        assert json.loads(response.read()) == {"error": sentence}
        assert response.getheader("Retry-After")
        third.close()
        assert app.get("/").startswith(b"<!doctype html>"), "the page itself is still served"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_comes_in_order_with_streams_open(run_app, face_video, number):
    app = run_app("--source", face_video)
    with viewer(app) as reading, viewer(app, receive_buffer=4096) as stuck:
        reading.recv(1024)
        stuck.recv(64)
        app.wait_for(lambda event: bool(event["faces"]))
        pictures(reading, 45)  # the second viewer takes no more: its thread waits to write
        app.process.send_signal(number)
        assert app.process.wait(PATIENCE_S) == 0


def test_the_end_does_not_wait_for_a_joke_service_or_a_camera_that_hang(run_app):
    ended = threading.Event()
    reached = threading.Event()

    def hang(request) -> None:
        reached.set()
        ended.wait(600)

    with http_server(hang) as port:
        address = f"http://127.0.0.1:{port}/"
        app = run_app("--source", address, "--joke-url", address)
        app.get("/")
        with viewer(app) as connection:
            connection.recv(1024)
            assert reached.wait(PATIENCE_S)
            app.wait_for(lambda event: bool(event["message"]))  # the camera does not open
            try:
                app.stop()
            finally:
                ended.set()
    assert app.process.returncode == 0


def test_a_network_camera_that_dies_and_returns(run_app, network_camera):
    camera, url = network_camera
    app = run_app("--source", url)
    app.wait_for(lambda event: bool(event["faces"]))
    camera.mode = "dead"
    event = app.wait_for(lambda event: bool(event["message"]) and "Trying again" in event["message"])
    assert "127.0.0.1" in event["message"]
    assert event["faces"] == []
    health = app.json("/healthz")
    assert (health["status"], health["camera"]["status"]) in {("degraded", "lost"), ("ok", "opening")}
    camera.mode = "live"
    app.wait_for(lambda event: bool(event["faces"]) and not event["message"])
    assert app.json("/healthz")["status"] == "ok"


def test_garbage_from_a_camera_is_survived(run_app, network_camera):
    camera, url = network_camera
    app = run_app("--source", url)
    app.wait_for(lambda event: bool(event["faces"]))
    camera.mode = "garbage"
    app.wait_for(lambda event: bool(event["message"]))
    camera.mode = "live"
    before = app.json("/healthz")["frames"]["analysed"]
    app.wait_for(lambda event: bool(event["faces"]))
    assert app.json("/healthz")["frames"]["analysed"] > before


@pytest.mark.parametrize(("source", "sentence"), [("none", "without a camera"), ("97", "Camera 97 can't be opened")])
def test_without_a_camera_the_app_serves_and_says_so(run_app, source, sentence):
    app = run_app("--source", source)
    app.wait_for(lambda event: sentence in event["message"])
    assert app.get("/snapshot.jpg").startswith(b"\xff\xd8")
    assert b"Dad says" in app.get("/")


def test_a_port_in_use_is_said_in_one_sentence(run_app):
    app = run_app("--source", "none")
    done = subprocess.run(
        [sys.executable, "app.py", "--port", str(app.port), "--source", "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environment(),
    )
    assert done.returncode == 2
    sentence = rf"Port {app.port} is already in use by another program; choose another with --port \d+\.\n"
    assert re.fullmatch(sentence, done.stderr)


def test_many_viewers_that_vanish_leave_nothing(run_app, face_video):
    app = run_app("--source", face_video, "--viewer-limit", "60")
    app.wait_for(lambda event: bool(event["faces"]))
    process = psutil.Process(app.process.pid)
    before = process.num_fds()
    for _ in range(5):
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(viewer(app))
            eventually(lambda: app.json("/healthz")["viewers"] == 20)
        eventually(lambda: app.json("/healthz")["viewers"] == 0)
    eventually(lambda: process.num_fds() <= before + 3)


def test_the_camera_is_released_when_nobody_watches(run_app, face_video):
    app = run_app("--source", face_video)
    app.wait_for(lambda event: bool(event["faces"]))
    eventually(lambda: app.json("/healthz")["camera"]["status"] == "idle")
    captured = app.json("/healthz")["frames"]["captured"]
    always(lambda: app.json("/healthz")["frames"]["captured"] == captured)
    app.wait_for(lambda event: bool(event["faces"]))


def test_the_neutral_smile_neutral_video_is_read_right(run_app, shared_videos):
    app = run_app("--source", shared_videos / "neutral_smile_neutral.mp4", "--no-loop")
    faces = [face for event in _until_ended(app) for face in event["faces"]]
    assert len(faces) > 10
    assert faces[0]["smile"] < 0.5
    assert max(face["smile"] for face in faces) > 0.8
    assert faces[-1]["raw_smile"] < 0.5, "the last frames are too few for the smoothed one"
    assert len({face["id"] for face in faces}) == 1


def _until_ended(app: RunningApp):
    with urllib.request.urlopen(app.url + "/events", timeout=PATIENCE_S) as response:
        for line in response:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if "ended" in event["message"]:
                    return
                yield event
