"""The app inside this process: routes, headers, and what is started when."""

import html
import json
import subprocess
import sys
import threading
import time

import pytest

from common.settings import Settings
from faces.annotation import annotate, encode_jpeg
from tests.numbered_pictures import read_number
from tests.project import ROOT, clean_environment
from tests.waiting import PATIENCE_S, eventually
from web.application import close_app, create_app


def test_making_the_app_starts_nothing():
    before = set(threading.enumerate())
    app = create_app(Settings(source="0"))
    assert set(threading.enumerate()) == before
    close_app(app)


def test_the_page_has_a_joke_at_once_and_loads_nothing_from_elsewhere(make_client):
    response = make_client().get("/")
    assert response.status_code == 200
    page = response.text
    assert "<blockquote" in page
    assert "//" not in page.replace("://icanhazdadjoke", ""), "no address of another host in the page"
    assert "style=" not in page
    assert "onclick" not in page


def test_every_answer_forbids_what_the_page_does_not_need(make_client):
    client = make_client()
    for path in ("/", "/healthz", "/api/v1/jokes/random", "/static/app.js", "/nothing"):
        with client.get(path) as response:
            headers = response.headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("bound", "asked", "status"),
    [
        ("127.0.0.1", "evil.example", 400),
        ("127.0.0.1", "192.168.1.5:5000", 400),
        ("127.0.0.1", "localhost:5000", 200),
        ("127.0.0.1", "127.0.0.1:5000", 200),
        ("::1", "[::1]:5000", 200),
        ("0.0.0.0", "192.168.1.5:5000", 200),
        ("0.0.0.0", "evil.example", 400),
        ("0.0.0.0", "smile.example:5000", 200),
    ],
)
def test_only_names_of_this_computer_are_served(make_client, bound, asked, status):
    client = make_client(host=bound, allow_host="other.example, smile.example")
    assert client.get("/healthz", headers={"Host": asked}).status_code == status


def test_another_site_can_not_show_the_camera_nor_switch_it_on(make_client):
    client = make_client(source="0")
    for path in ("/video_feed", "/events", "/snapshot.jpg"):
        assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("/healthz").json["camera"]["status"] == "idle"
    assert client.application.extensions["smile_watch"]._thread is None


def test_the_last_picture_is_forgotten_when_nobody_watches(make_client, face_video):
    client = make_client(source=str(face_video))
    assert client.get("/snapshot.jpg").status_code == 200
    stream = client.application.extensions["smile_watch"].stream
    eventually(lambda: stream.wait_newer(0, 0) is None)


def test_each_kind_of_picture_is_encoded_once_for_all_and_only_while_somebody_wants_it(make_client, face_video, monkeypatch):
    encoded: list[str] = []
    drawn: list = []  # kept, so that no later picture has the same place in memory

    def encode(image, *args):
        encoded.append("boxed" if any(image is one for one in drawn) else "clean")
        return encode_jpeg(image, *args)

    def draw(image, *args, **options):
        drawn.append(image)
        return annotate(image, *args, **options)

    monkeypatch.setattr("live.watch.encode_jpeg", encode)
    monkeypatch.setattr("live.watch.annotate", draw)
    client = make_client(source=str(face_video))
    watch = client.application.extensions["smile_watch"]

    def kinds(*paths: str) -> set[str]:
        streams = [client.get(path) for path in paths]
        parts = [iter(stream.response) for stream in streams]

        def goes_on(frames: int) -> None:
            until = watch.analysed + frames
            while watch.analysed < until:
                for part in parts:
                    next(part)

        goes_on(3)
        before = watch.analysed
        encoded.clear()
        goes_on(5)
        assert len(encoded) <= len(set(encoded)) * (watch.analysed - before + 1), "once for each frame, however many watch"
        for stream in streams:
            stream.close()
        return set(encoded)

    assert kinds("/video_feed", "/video_feed", "/events") == {"boxed"}
    assert kinds("/video_feed?boxes=0", "/video_feed?boxes=0", "/events") == {"clean"}
    assert kinds("/video_feed", "/video_feed?boxes=0") == {"boxed", "clean"}
    assert kinds("/events") == set()


def test_a_stream_without_boxes_shows_the_frame_of_its_event(make_client, face_video):
    client = make_client(source=str(face_video))
    with client.get("/video_feed?boxes=0") as stream:
        assert stream.mimetype == "multipart/x-mixed-replace"
        parts = (part for part in stream.response if b'"message": ""' in part)
        for _ in range(5):
            head, _, body = next(parts).partition(b"\r\n\r\n")
            event = json.loads(head.partition(b"X-Event: ")[2])
            assert read_number(body) == (event["frame"] - 1) % 400
            assert f"Content-Length: {len(body) - 2}".encode() in head
    raw = client.get("/video_feed?boxes=0", headers={"Accept": "multipart/mixed"})
    assert raw.mimetype == "multipart/mixed", "which no browser takes apart itself"
    raw.close()
    assert client.get("/video_feed?boxes=maybe").json == {"error": "boxes must be 0 or 1."}
    assert client.get("/video_feed?boxes=maybe").status_code == 400


def test_a_frame_that_can_not_be_analysed_is_said_and_survived(make_client, face_video, monkeypatch):
    client = make_client(source=str(face_video))
    client.get("/snapshot.jpg")
    tracker = client.application.extensions["smile_watch"]._tracker
    update = tracker.update
    monkeypatch.setattr(tracker, "update", lambda *_: 1 / 0)
    deadline = time.monotonic() + PATIENCE_S
    with client.get("/events") as events:
        stream = iter(events.response)
        while "ZeroDivisionError" not in client.get("/healthz").json["message"]:
            assert time.monotonic() < deadline
            next(stream)
        monkeypatch.setattr(tracker, "update", update)
        while client.get("/healthz").json["status"] != "ok":
            assert time.monotonic() < deadline
            next(stream)


def test_random_jokes_differ(make_client):
    client = make_client()
    jokes = [client.get("/api/v1/jokes/random").json for _ in range(10)]
    assert len({joke["id"] for joke in jokes}) == 10
    assert set(jokes[0]) == {"id", "text", "source"}
    assert client.get("/api/v1/jokes/random").headers["Cache-Control"] == "no-store"


def test_unknown_addresses_and_methods_get_a_sentence(make_client):
    client = make_client()
    for path in ("/nothing", "/api/nothing"):
        response = client.get(path)
        assert (response.status_code, response.json) == (
            404,
            {"error": "There is nothing at this address; the page is at /."},
        )
    assert (client.post("/healthz").status_code, set(client.post("/healthz").json)) == (405, {"error"})


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}


def test_an_error_is_json_for_programs_and_a_page_for_a_browser_that_asks_for_one(make_client):
    client = make_client()
    for path, options, status in (
        ("/nothing", {}, 404),
        ("/healthz", {"method": "POST"}, 405),
        ("/", {"headers": {"Host": "evil.example"}}, 400),
        ("/video_feed", {"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
    ):
        headers = options.pop("headers", {})
        for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "image/webp,*/*;q=0.8"}):
            response = client.open(path, headers=headers | accept, **options)
            assert (response.status_code, set(response.json), response.vary.as_set()) == (status, {"error"}, {"accept"})
        page = client.open(path, headers=headers | BROWSER, **options)
        assert (page.status_code, page.mimetype, page.headers["Cache-Control"]) == (status, "text/html", "no-store")
        assert html.escape(response.json["error"]) in page.text
        assert 'href="/"' in page.text
    assert set(client.get("/api/nothing", headers=BROWSER).json) == {"error"}, "the API answers JSON to everybody"


@pytest.mark.usefixtures("no_second_passes")
def test_a_full_house_and_a_flood_say_when_to_come_back(make_client):
    client = make_client(viewer_limit=1, visitor_rate=1)
    with client.get("/video_feed") as _watching:
        full = client.get("/video_feed")
    assert (full.status_code, full.headers["Retry-After"]) == (503, "5")
    assert "places are taken" in full.json["error"]
    here = {"REMOTE_ADDR": "203.0.113.7"}
    answers = [client.get("/nothing", headers=BROWSER, environ_base=here) for _ in range(20)]
    assert (answers[-1].status_code, answers[-1].mimetype) == (429, "text/html")
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_a_snapshot_without_a_camera_says_so_in_the_picture(make_client):
    response = make_client().get("/snapshot.jpg")
    assert response.status_code == 200
    assert response.mimetype == "image/jpeg"


def test_a_snapshot_shows_the_newest_frame(make_client, face_video):
    client = make_client(source=str(face_video))
    client.get("/snapshot.jpg")
    numbers: set[int] = set()

    def look() -> bool:
        numbers.add(read_number(client.get("/snapshot.jpg").data))
        return len(numbers) >= 3

    eventually(look)
    assert max(numbers) < 400


@pytest.mark.parametrize("content", [None, b"", b"not a network", b"TFL3" * 500])
def test_without_a_usable_network_the_app_serves_and_says_what_to_do(make_client, tmp_path, face_video, content):
    model = tmp_path / "broken.tflite"
    if content is not None:
        model.write_bytes(content)
    client = make_client(source=str(face_video), model=model)
    assert client.get("/snapshot.jpg").status_code == 200
    health = client.get("/healthz").json
    assert health["status"] == "degraded"
    assert "git checkout models" in health["message"]
    assert client.get("/").status_code == 200


def test_a_detector_that_can_not_be_loaded_is_said_in_words(make_client, face_video):
    client = make_client(source=str(face_video), detector="yunet")
    eventually(lambda: client.get("/snapshot.jpg") and "--detector-model" in client.get("/healthz").json["message"])


def test_the_app_never_loads_what_only_training_needs(face_video):
    code = (
        "import sys, time\n"
        "from web.application import create_app, close_app\n"
        "from common.settings import Settings\n"
        f"app = create_app(Settings(source={str(face_video)!r}, joke_url=''))\n"
        "client = app.test_client()\n"
        "client.get('/')\n"
        "deadline = time.monotonic() + 100\n"
        "watch = app.extensions['smile_watch']\n"
        "while not (watch._tracker and watch._tracker.searches) and time.monotonic() < deadline:\n"
        "    client.get('/snapshot.jpg')\n"
        "assert watch._tracker.searches\n"
        "close_app(app)\n"
        "print(sorted(set(sys.modules) & {'tensorflow', 'keras', 'sklearn', 'joblib', 'scipy', 'matplotlib', 'training',"
        " 'face_recognition_models'}))\n"
        "print('dlib' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[]", "False"], "and not dlib, which the default detector does not need"


def test_importing_a_module_starts_and_loads_nothing():
    code = (
        "import importlib, sys, threading, pathlib\n"
        "rooms = ('common', 'pictures', 'faces', 'jokes', 'live', 'visitors', 'web', 'serving', 'scoring', 'scraping')\n"
        "paths = [*pathlib.Path().glob('*.py'), *(path for room in rooms for path in pathlib.Path(room).rglob('*.py'))]\n"
        "for path in paths: importlib.import_module('.'.join(path.with_suffix('').parts).removesuffix('.__init__'))\n"
        "assert threading.active_count() == 1\n"
        "print(sorted(set(sys.modules) & {'face_recognition', 'dlib', 'ai_edge_litert', 'tensorflow', 'sklearn'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, env=clean_environment()
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
