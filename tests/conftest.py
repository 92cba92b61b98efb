"""Fixtures that the tests share: real faces, real videos, the real app, a real browser."""

from __future__ import annotations

import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from common.visitor_limits import RateLimit
from tests import posing
from tests.browsers import CHROMIUM, CHROMIUM_FLAGS, launch_with_webcam, opened_and_closed
from tests.loopback import NetworkCamera, http_server
from tests.numbered_pictures import number_picture
from tests.project import ROOT, SHARED, clean_environment
from tests.running import RunningApp, running_app
from tests.waiting import PATIENCE_S, end
from training.data import assembling


def pytest_configure() -> None:
    # A shell without job control has what it starts in the background ignore Ctrl-C, and programs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick ones first; in several processes in the order of `in_step`, so that all end at about the same time.

    A file is marked `slow` that takes more than some seconds: processes, browsers, training. `slow(60)` is one that takes
    about a minute; without a number it is one of less than half a minute.
    """
    if not hasattr(config, "workerinput"):
        return items.sort(key=about_seconds)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    seconds = {path: float(max(map(about_seconds, tests))) for path, tests in files.items()}
    waiting = {
        path for path, tests in files.items() if any("browser" in getattr(test, "fixturenames", ()) for test in tests)
    }
    items[:] = [item for path in in_step(seconds, waiting) for item in files[path]]


def in_step(seconds: dict[Path, float], waiting: set[Path]) -> list[Path]:
    """The longest files first, and those that mostly wait, for pages, evenly among those that mostly compute: several of the
    latter at once would only hinder each other, and the processor would be idle later.
    """
    places: dict[Path, float] = {}
    for kind in (waiting, set(seconds) - waiting):
        total, before = sum(seconds[path] for path in kind) or 1.0, 0.0
        for path in sorted(kind, key=lambda path: (-seconds[path], path)):
            places[path] = before / total
            before += seconds[path]
    return sorted(places, key=lambda path: (places[path], -seconds[path]))


def about_seconds(item: pytest.Item) -> int:
    marker = item.get_closest_marker("slow")
    return 0 if marker is None else marker.args[0] if marker.args else 10


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A smiling face: uint8 BGR (512, 512, 3), from scikit-image (NASA, public domain).

    The helmet beside her is painted over: a search for small faces can take it for another one.
    """
    from skimage import data

    picture = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    picture[160:320, 330:490] = picture[150, 480]
    return picture


@pytest.fixture(scope="session")
def shared_videos() -> Path:
    if not (SHARED / "video").is_dir():
        pytest.skip("needs the shared videos beside the project")
    return SHARED / "video"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the shared face sets beside the project")
    return SHARED / "data"


@pytest.fixture(scope="session")
def person_frames(shared_videos) -> list[np.ndarray]:
    """A person who is neutral, and then smiles: uint8 BGR (360, 640, 3)."""
    return posing.person_of(shared_videos / "neutral_smile_neutral.mp4")


@pytest.fixture(scope="session")
def person(person_frames) -> str:
    """A script of a webcam before which that person smiles when a test says so."""
    return posing.script(person_frames)


@pytest.fixture
def scrape(server, tmp_path, capsys):
    """The scraper at the test file's own `server`."""
    from tests.scraper_runs import Scraper

    return Scraper(server, tmp_path / "images", capsys)


@pytest.fixture(scope="module")
def dataset_workers_in_this_process() -> Iterator[None]:
    """`training.dataset` with threads for its processes, which take seconds to start."""
    from concurrent.futures import ThreadPoolExecutor

    from tqdm import tqdm

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembling, "worker_processes", ThreadPoolExecutor)
        patch.setattr(tqdm, "monitor_interval", 0)  # no thread that watches progress bars
        yield


@pytest.fixture(scope="session")
def face_video(tmp_path_factory, astronaut) -> Path:
    """400 numbered frames, 30 a second, 480x360: a face that moves from side to side."""
    path = tmp_path_factory.mktemp("video") / "face.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (480, 360))
    for i in range(400):
        x = round(16 + 16 * np.sin(i / 20))
        image = astronaut[:360, x : x + 480].copy()
        number_picture(image, i)
        writer.write(image)
    writer.release()
    return path


@pytest.fixture(scope="session")
def face_picture(tmp_path_factory, astronaut) -> Path:
    path = tmp_path_factory.mktemp("picture") / "face.jpg"
    cv2.imwrite(str(path), astronaut[:400])  # below, a badge looks like a face to the HOG detector
    return path


@pytest.fixture(scope="session", autouse=True)
def nobodys_joke_board(tmp_path_factory) -> Iterator[None]:
    """An app that a test makes with the usual settings has an empty board, not that of whoever runs the tests."""
    empty = str(tmp_path_factory.mktemp("nobody"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
            patch.setenv(name, empty)
        yield


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Every test ends with the threads it began with."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        left = [t for t in threading.enumerate() if t not in before and not t.name.startswith(("asyncio", "Thread-tf"))]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"threads left behind: {[thread.name for thread in left]}")


@pytest.fixture
def make_client(monkeypatch):
    """Makes an app in this process, with no camera and no joke service unless told otherwise, and a client of it."""
    from common.settings import Settings
    from web.application import close_app, create_app

    monkeypatch.setattr("web.live_routes._SNAPSHOT_WAIT_S", PATIENCE_S)
    apps = []

    def make(**options):
        app = create_app(Settings(**{"source": "none", "joke_url": "", "board": "none", **options}))
        app.testing = True
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        close_app(app)


@pytest.fixture
def no_second_passes(monkeypatch):
    """For limits on what one visitor may ask for in a time, however long the test takes to ask."""
    monkeypatch.setattr(RateLimit, "_clock", property(lambda _: lambda: 1000.0, lambda *_: None), raising=False)


@pytest.fixture(scope="session")
def app(tmp_path_factory) -> Iterator[RunningApp]:
    """The app without a camera, one process for all tests that leave it running."""
    with running_app(tmp_path_factory.mktemp("app") / "log.txt", "none") as running:
        yield running


@pytest.fixture(scope="session")
def seeing_app(tmp_path_factory, face_picture) -> Iterator[RunningApp]:
    """The same with a camera that sees a face."""
    with running_app(tmp_path_factory.mktemp("app") / "log.txt", face_picture) as running:
        yield running


@pytest.fixture(scope="session")
def with_webcam(browser, astronaut, tmp_path_factory) -> Iterator:
    """A Chromium whose webcam shows a smiling face left of the middle, which moves. 12 frames a second cost less than 30."""
    file = tmp_path_factory.mktemp("webcam") / "face.y4m"
    with file.open("wb") as video:
        video.write(b"YUV4MPEG2 W640 H480 F12:1 Ip A1:1 C420jpeg\n")
        for i in range(24):
            x = round(100 + 12 * np.sin(i / 12 * np.pi))
            image = cv2.resize(astronaut[:309, x : x + 412], (640, 480))
            video.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())
    chromium = launch_with_webcam(browser, file)
    yield chromium
    chromium.close()


@pytest.fixture
def show(browser, app) -> Iterator[Callable[..., Any]]:
    """Opens pages whose jokes come from a list and whose readings the test makes up (`Show`)."""
    from tests.shows import Show

    yield from opened_and_closed(lambda url=app.url, **options: Show(browser, url, **options))


@pytest.fixture
def run_app() -> Iterator[Callable[..., RunningApp]]:
    """Starts `python app.py` on a free port; ends it after the test and holds it to a clean end without traceback."""
    running: list[tuple[RunningApp, threading.Thread]] = []

    def run(*options: str | Path, environ: Mapping[str, str] | None = None) -> RunningApp:
        command = [sys.executable, "app.py", "--port", "0", *map(str, options)]
        if "--joke-url" not in options:
            command += ["--joke-url", ""]
        environment = clean_environment() | dict(environ or {})
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        lines: list[str] = []
        addresses: queue.Queue[str] = queue.Queue()

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                if match := re.search(r"http://[^\s\"]+", line):
                    addresses.put(match[0])
            process.stdout.close()
            addresses.put("")

        thread = threading.Thread(target=listen, name="listen")
        thread.start()
        app = RunningApp(process, "", lines, thread)
        running.append((app, thread))
        app.url = addresses.get(timeout=PATIENCE_S)
        assert app.url, f"the app did not start: {lines}"
        return app

    yield run
    for app, thread in running:
        if app.process.poll() is None:
            end(app.process)
        thread.join(PATIENCE_S)
        assert not any("Traceback" in line for line in app.lines), "\n".join(app.lines)


@pytest.fixture
def network_camera(astronaut) -> Iterator[tuple[NetworkCamera, str]]:
    """An HTTP camera on loopback and its URL."""
    camera = NetworkCamera(astronaut[:360, :480])
    with http_server(camera) as port:
        yield camera, f"http://127.0.0.1:{port}/stream"
        camera.mode = "dead"


@pytest.fixture(scope="session")
def browser():
    """A real Chromium."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
