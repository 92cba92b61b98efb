"""What the tests share: real faces, real videos, the real app as a process, and servers on loopback that misbehave."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.waiting import PATIENCE_S, end, eventually
from training.data import assembling

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


def pytest_configure() -> None:
    # A shell without job control has what it starts in the background ignore Ctrl-C, and programs inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick ones first; in several processes the longest first, so that all processes end at about the same time.

    A file is marked `slow` that takes more than some seconds: processes, browsers, training. `slow(60)` is one that takes
    about a minute; without a number it is one of less than half a minute.
    """
    direction = -1 if hasattr(config, "workerinput") else 1
    items.sort(key=lambda item: direction * about_seconds(item))


def about_seconds(item: pytest.Item) -> int:
    marker = item.get_closest_marker("slow")
    return 0 if marker is None else marker.args[0] if marker.args else 10


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A smiling face: uint8 BGR (512, 512, 3), from scikit-image (NASA, public domain)."""
    from skimage import data

    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)


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


@pytest.fixture(scope="module")
def dataset_workers_in_this_process() -> Iterator[None]:
    """`training.dataset` with threads for its processes, which take seconds to start."""
    from concurrent.futures import ThreadPoolExecutor

    from tqdm import tqdm

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembling, "worker_processes", ThreadPoolExecutor)
        patch.setattr(tqdm, "monitor_interval", 0)  # no thread that watches progress bars
        yield


BARS = 12  # bits of the frame number that can be read off a numbered video


def number_picture(image: np.ndarray, number: int) -> None:
    """Write `number` into the lowest rows of `image` as black and white fields that survive JPEG."""
    height, width = image.shape[:2]
    side = width // BARS
    for bit in range(BARS):
        image[height - 24 :, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0


def read_number(jpeg: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None, "not a JPEG picture"
    side = image.shape[1] // BARS
    fields = [image[-12, bit * side + side // 2] > 127 for bit in range(BARS)]
    return sum(1 << bit for bit, white in enumerate(fields) if white)


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
def make_client():
    """Makes an app in this process, with no camera and no joke service unless told otherwise, and a client of it."""
    from common.settings import Settings
    from web.application import close_app, create_app

    apps = []

    def make(**options):
        app = create_app(Settings(**{"source": "none", "joke_url": "", "board": "none", **options}))
        app.testing = True
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        close_app(app)


@dataclass
class RunningApp:
    """The real app in a process of its own."""

    process: subprocess.Popen
    url: str
    lines: list[str] = field(default_factory=list)
    listener: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, timeout: float = PATIENCE_S) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=timeout) as response:
            return response.read()

    def json(self, path: str) -> dict:
        return json.loads(self.get(path))

    def metrics(self) -> dict[str, float]:
        """What `/metrics` says, by name with labels as written there: `{'smile_viewers{kind="picture"}': 1.0, ...}`."""
        lines = self.get("/metrics").decode().splitlines()
        return {
            name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }

    def event(self) -> dict:
        """One event from /events."""
        with urllib.request.urlopen(self.url + "/events", timeout=PATIENCE_S) as response:
            for line in response:
                if line.startswith(b"data: "):
                    return json.loads(line[6:])
        raise AssertionError("no event came")

    def events(self, count: int) -> list[dict]:
        found: list[dict] = []
        with urllib.request.urlopen(self.url + "/events", timeout=PATIENCE_S) as response:
            for line in response:
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
        return found

    def wait_for(self, condition: Callable[[dict], bool], timeout: float = PATIENCE_S) -> dict:
        """The first event that meets `condition`."""
        deadline = time.monotonic() + timeout
        event: dict = {}
        with urllib.request.urlopen(self.url + "/events", timeout=timeout) as response:
            for line in response:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    if condition(event):
                        return event
                if time.monotonic() > deadline:
                    break
        raise AssertionError(f"no such event within {timeout} s; the last was {event}; the app said {self.lines}")

    def stop(self) -> None:
        """SIGTERM, and until the process has ended."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        if self.listener is not None:
            self.listener.join(PATIENCE_S)  # `lines` is whole now


@contextmanager
def running_app(log: Path, source: str | Path, board: str | Path = "none") -> Iterator[RunningApp]:
    command = [sys.executable, "app.py", "--port", "0", "--source", str(source), "--joke-url", "", "--board", str(board)]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=clean_environment())
    try:
        eventually(lambda: process.poll() is not None or "http://" in log.read_text(), log.read_text)
        address = re.search(r"http://\S+", log.read_text())
        assert address, log.read_text()
        yield RunningApp(process, address[0])
    finally:
        end(process)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[RunningApp]:
    """The app without a camera, one process for all tests of a file that leave it running."""
    with running_app(tmp_path_factory.mktemp("app") / "log.txt", "none") as running:
        yield running


@pytest.fixture(scope="module")
def seeing_app(tmp_path_factory, face_picture) -> Iterator[RunningApp]:
    """The same with a camera that sees a face."""
    with running_app(tmp_path_factory.mktemp("app") / "log.txt", face_picture) as running:
        yield running


def new_context(browser, *, off_line: bool = False, **options):
    """A browser context. `off_line`: whether pages may be kept for when there is no network; what a service worker asks for
    passes by `page.route`.

    Nothing moves unless a test says `reduced_motion="no-preference"`: a page whose Dad only knocks takes a tenth of a core.
    """
    context = browser.new_context(**{"reduced_motion": "reduce"} | options)
    if not off_line:
        context.add_init_script("delete Navigator.prototype.serviceWorker")
    return context


def save_screenshot(page, name: str) -> None:
    """The whole page in screenshots/, for who wants to look: `SCREENSHOTS=1 make test`. It takes a third of a second."""
    if os.environ.get("SCREENSHOTS"):
        (ROOT / "screenshots").mkdir(exist_ok=True)
        page.screenshot(path=str(ROOT / "screenshots" / f"{name}.png"), full_page=True)


def launch_with_webcam(browser, file: Path):
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={file}"]
    return browser.browser_type.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *flags])


@pytest.fixture(scope="module")
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


def opened_and_closed(make: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """For a fixture: a function that makes visits of pages, whose browser contexts are closed after the test."""
    visits: list[Any] = []

    def open_page(*place: Any, **options: Any) -> Any:
        visits.append(make(*place, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()


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


@contextmanager
def viewer(app: RunningApp, *, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """An open picture stream: a socket past its response head."""
    with socket.socket() as connection:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE_S)
        connection.connect(("127.0.0.1", app.port))
        connection.sendall(f"GET /video_feed HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n\r\n".encode())
        yield connection


@dataclass(frozen=True)
class Arrival:
    """A whole picture of a stream: when it was there, its frame number, and the stream's bytes until then."""

    at: float
    number: int
    received: int


def arrivals(connection: socket.socket, bytes_per_second: float = 0) -> Iterator[Arrival]:
    """Every whole picture, as it comes, reading no faster than asked; until the stream ends."""
    data = b""
    started = time.monotonic()
    received = 0
    while True:
        if bytes_per_second and received > (time.monotonic() - started) * bytes_per_second:
            time.sleep(0.005)
            continue
        chunk = connection.recv(4096 if bytes_per_second else 65536)
        if not chunk:
            return
        received += len(chunk)
        data += chunk
        while (end := data.find(b"\r\n--frame", 2)) >= 0:
            begin = data.find(b"\xff\xd8", 0, end)
            if begin >= 0:
                yield Arrival(time.monotonic(), read_number(data[begin:end]), received)
            data = data[end + 2 :]


def pictures(connection: socket.socket, count: int) -> list[int]:
    """The frame numbers of the next so many pictures; fewer when the stream ends."""
    return [arrival.number for arrival in itertools.islice(arrivals(connection), count)]


def clean_environment() -> dict[str, str]:
    ours = {"PYTHONUNBUFFERED": "1", "SMILE_BOARD": "none"}  # no test counts on the board of whoever runs it
    return {name: value for name, value in os.environ.items() if not name.startswith("SMILE_")} | ours


@contextmanager
def http_server(handler: Callable[[http.server.BaseHTTPRequestHandler], None], port: int = 0) -> Iterator[int]:
    """A server on loopback that answers every GET with `handler`; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):  # the other side left
                handler(self)
            self.close_connection = True

        def log_message(self, *_) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="test-server")
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)


@dataclass
class NetworkCamera:
    """An HTTP camera (MJPEG) that can die, hang and return.

    `mode`: `live`, `silent` (hangs), `closes` (each connection after a second), `dead`, `garbage`, or `damaged` (every third
    picture is cut short and full of noise). `image` can be changed at any time.
    """

    image: np.ndarray
    mode: str = "live"
    sent: int = 0

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        if self.mode == "dead":
            request.send_error(503)
            return
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=camera")
        request.end_headers()
        opened = time.monotonic()
        deadline = opened + 120
        while time.monotonic() < deadline:
            mode = self.mode
            if mode == "dead" or (mode == "closes" and time.monotonic() > opened + 1):
                return
            if mode == "garbage":
                request.wfile.write(os.urandom(20_000))
            if mode in ("live", "closes", "damaged"):
                image = self.image.copy()
                number_picture(image, self.sent % 4096)
                self.sent += 1
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                if mode == "damaged" and self.sent % 3 == 0:
                    jpeg = jpeg[:700] + os.urandom(3000)
                head = f"--camera\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                request.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(1 / 25)


@pytest.fixture
def network_camera(astronaut) -> Iterator[tuple[NetworkCamera, str]]:
    """An HTTP camera on loopback and its URL."""
    camera = NetworkCamera(astronaut[:360, :480])
    with http_server(camera) as port:
        yield camera, f"http://127.0.0.1:{port}/stream"
        camera.mode = "dead"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP smile.example 127.0.0.1",  # a name that is not this computer's own
]


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
