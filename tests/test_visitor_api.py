"""POST /api/v1/analyze: what goes in, what comes out, and what is refused in one sentence."""

import http.client
import io
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest

from common.errors import TooBusy
from common.settings import Settings
from tests.project import ROOT, clean_environment
from visitors.analysis import MAX_BYTES
from web.application import close_app, create_app

ADDRESS = "/api/v1/analyze"


@pytest.fixture(scope="module")
def client():
    app = create_app(Settings(source="none", joke_url=""))
    yield app.test_client()
    close_app(app)


@pytest.fixture(scope="module")
def picture(astronaut) -> bytes:
    return cv2.imencode(".jpg", astronaut[:400])[1].tobytes()


def form(picture: bytes, previous: str | None = None) -> dict:
    data: dict = {"image": (io.BytesIO(picture), "me.jpg")}
    return data | ({"previous": previous} if previous is not None else {})


def test_a_picture_as_body_or_form_field_gives_its_faces(client, picture):
    for kind in ("image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded"):
        response = client.post(ADDRESS, data=picture, content_type=kind)
        assert response.status_code == 200, kind
        assert response.headers["Cache-Control"] == "no-store"
        assert [face["label"] for face in response.json["faces"]] == ["smile"]
    response = client.post(ADDRESS, data=form(picture))
    assert response.json["faces"][0]["id"] == 1
    assert "state" not in response.json, "a still begins no stream"


def test_the_answer_before_is_taken_up(client, picture):
    answer = client.post(ADDRESS, data=form(picture, "{}")).json
    for _ in range(3):
        answer = client.post(ADDRESS, data=form(picture, json.dumps(answer))).json
        assert [face["id"] for face in answer["faces"]] == [1]


@pytest.mark.parametrize(
    ("data", "status", "sentence"),
    [
        (b"", 400, "no picture in this request"),
        (b"not a picture", 400, "not a JPEG, PNG or WebP"),
        (b"\xff\xd8\xff\xe0", 400, "not a picture"),
        (bytes(MAX_BYTES + 1), 413, "at most 12 MB"),
        ({"previous": "{}"}, 400, "no picture in this request"),
        ({"image": "text"}, 400, "no picture in this request"),
    ],
)
def test_what_can_not_be_analysed_is_said_in_a_sentence(client, data, status, sentence):
    response = client.post(ADDRESS, data=data, content_type="multipart/form-data" if isinstance(data, dict) else None)
    assert response.status_code == status
    assert set(response.json) == {"error"}
    assert sentence in response.json["error"]


@pytest.mark.parametrize(
    "previous", ["", "{", "[]", "null5", '{"faces": [1]}', "[" * 100_000, '{"state": NaN}', '{"state": "AAAA"}']
)
def test_a_previous_answer_that_is_none_is_said_to_be_none(client, picture, previous):
    response = client.post(ADDRESS, data=form(picture, previous))
    assert response.status_code == 400
    assert "'previous'" in response.json["error"]


def test_other_sites_other_methods_and_other_addresses(client, picture):
    response = client.post(ADDRESS, data=picture, headers={"Sec-Fetch-Site": "cross-site"})
    assert (response.status_code, set(response.json)) == (403, {"error"})
    response = client.get(ADDRESS)
    assert (response.status_code, response.json) == (405, {"error": "This address only answers POST."})
    assert client.get("/api/v1/nothing").json == {"error": "There is nothing at this address; the page is at /."}
    assert client.post("/").json == {"error": "This address only answers GET."}


def test_a_busy_server_says_when_to_come_back(client, picture, monkeypatch):
    def busy(*_):
        raise TooBusy("Too many pictures at once; try again in a second.")

    monkeypatch.setattr("visitors.analysis.VisitorAnalysis.analyze", busy)
    response = client.post(ADDRESS, data=picture)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


def test_an_upload_never_touches_the_disk(client, picture, monkeypatch):
    def no_file(*_, **__):
        raise AssertionError("a picture was written to a file")

    for name in ("TemporaryFile", "SpooledTemporaryFile"):
        monkeypatch.setattr(f"werkzeug.formparser.{name}", no_file, raising=False)
    large = picture + bytes(3_000_000)
    assert client.post(ADDRESS, data=large).status_code == 200
    head = b'--part\r\nContent-Disposition: form-data; name="image"; filename="me.jpg"\r\n\r\n'
    body = head + large + b"\r\n--part--\r\n"
    response = client.post(ADDRESS, data=body, content_type="multipart/form-data; boundary=part")
    assert response.json["faces"]


def test_the_real_server_answers_many_at_once_without_a_camera(run_app, picture):
    app = run_app("--source", "none")

    def post(_) -> dict:
        request = urllib.request.Request(app.url + ADDRESS, picture, {"Content-Type": "image/jpeg"})
        for _ in range(30):
            try:
                with urllib.request.urlopen(request, timeout=120) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:  # as a page does: it comes back when it is told to
                if error.code != 503:
                    raise
                time.sleep(float(error.headers["Retry-After"]))
        raise AssertionError("it stayed busy")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(12)))
    assert all([face["label"] for face in answer["faces"]] == ["smile"] for answer in answers)
    assert app.json("/healthz")["camera"]["status"] == "idle"


def test_the_real_server_keeps_a_large_picture_in_memory(picture):
    without_files = (
        "import sys, tempfile\n"
        "def refuse(*_, **__): raise OSError('no files')\n"
        "tempfile.TemporaryFile = tempfile.SpooledTemporaryFile = tempfile.NamedTemporaryFile = refuse\n"
        "import app\n"
        "sys.exit(app.main(['--port', '0', '--source', 'none', '--joke-url', '']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", without_files], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=clean_environment()
    )
    try:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        request = urllib.request.Request(url + ADDRESS, picture + bytes(5_000_000), {"Content-Type": "image/jpeg"})
        with urllib.request.urlopen(request, timeout=120) as response:
            assert json.loads(response.read())["faces"]
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_a_body_without_end_is_refused_before_it_is_read(run_app):
    app = run_app("--source", "none")
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)
    connection.putrequest("POST", ADDRESS)
    connection.putheader("Content-Type", "image/jpeg")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    connection.send(bytes(1000))
    assert connection.getresponse().status == 413
    connection.close()
