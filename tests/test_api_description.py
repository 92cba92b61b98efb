"""`/api/openapi.json` says what is there, what is there keeps to it, and the page's commands work as they stand."""

import http.client
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from html import unescape
from itertools import pairwise

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from PIL import Image

from benchmarks.stages.fuzz_findings import Answer, Description, Sent
from common.errors import TooBusy
from common.settings import Settings
from tests.conftest import CHROMIUM, save_screenshot
from visitors.analysis import MAX_BYTES, MAX_PIXELS
from web.application import close_app, create_app
from web.joke_routes import MAX_BYTES as MAX_REACTION_BYTES
from web.openapi import describe

pytestmark = pytest.mark.slow(30)

PAGES = {
    "/",
    "/play",
    "/jokes",
    "/api",
    "/static/<path:filename>",
    "/device.json",
    "/device/<digest>/<name>",
    "/sw.js",
    "/qr.svg",
}  # for people and their browsers
ANALYZE, REACTIONS, JOKE, BOARD = "/api/v1/analyze", "/api/v1/reactions", "/api/v1/jokes/random", "/api/v1/jokes/board"


@pytest.fixture
def client(tmp_path):
    board = str(tmp_path / "board.sqlite3")
    app = create_app(Settings(source="none", joke_url="", board=board, visitor_rate=0, allow_host="smile.example"))
    yield app.test_client()
    close_app(app)


@pytest.fixture
def asked(client):
    """Sends a request, holds the answer against the description, and returns it."""
    description = Description(client.get("/api/openapi.json").json)

    def ask(method: str, path: str, **options):
        response = client.open(path, method=method, **options)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, response.data)
        assert description.complaint(Sent(method, path, {}, b""), answer) == ""
        return response

    return ask


@pytest.fixture(scope="module")
def picture(astronaut) -> bytes:
    return cv2.imencode(".jpg", astronaut[:400])[1].tobytes()


def form(picture: bytes, previous: str) -> dict:
    return {"image": (io.BytesIO(picture), "me.jpg"), "previous": previous}


# The description


@pytest.mark.parametrize("rate", [None, 0, 5])
def test_it_is_right_openapi(rate):
    described = describe(rate)
    validate(described)
    assert json.loads(json.dumps(described)) == described


def test_every_route_is_described_and_nothing_else(client):
    routes = {
        (rule.rule, method.lower())
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule not in PAGES
    }
    described = {(path, method) for path, methods in describe()["paths"].items() for method in methods}
    assert described == routes


def test_every_part_of_it_is_used(client):
    text = client.get("/api/openapi.json").text
    for kind, parts in describe()["components"].items():
        for name in parts:
            assert f'"#/components/{kind}/{name}"' in text, name


def test_it_tells_the_limits_that_hold(client):
    text = client.get("/api/openapi.json").text
    assert f'"maxLength": {MAX_BYTES}' in text
    assert f"{MAX_PIXELS // 10**6} megapixels" in text
    assert f"{MAX_REACTION_BYTES} bytes" in text
    assert "150 pictures and 25 other requests a second" in describe()["info"]["description"]
    assert "30 pictures and 5 other requests a second" in describe(30)["info"]["description"]
    assert "sets no limit" in describe(0)["info"]["description"]


# Real answers keep to it


def test_right_answers_keep_to_it(asked, picture):
    assert asked("POST", ANALYZE, data=picture, content_type="image/jpeg").json["faces"]
    assert asked("POST", ANALYZE, data=cv2.imencode(".png", np.zeros((9, 9, 3)))[1].tobytes()).json["faces"] == []
    answer = "{}"
    for _ in range(3):
        answer = asked("POST", ANALYZE, data=form(picture, answer)).text
        assert json.loads(answer)["faces"][0]["id"] == 1
    assert asked("GET", "/api/v1/jokes/own").json["jokes"]
    joke = asked("GET", JOKE).json
    body = {"agreed": True, "joke": {"id": joke["id"], "source": joke["source"]}, "before": 0.1, "peak": 0.8, "seconds": 2.5}
    assert asked("GET", BOARD).json["jokes"] == []
    assert asked("POST", REACTIONS, json=body).status_code == 204
    assert asked("POST", REACTIONS, json=body).status_code == 409
    assert asked("GET", BOARD).json["jokes"][0]["reactions"] == 1
    assert asked("GET", "/healthz").json["status"] == "ok"
    assert asked("GET", "/api/openapi.json").json["openapi"].startswith("3.1")


def test_what_the_camera_sees_is_as_described(face_picture):
    app = create_app(Settings(source=str(face_picture), joke_url="", board="none"))
    client = app.test_client()
    described = client.get("/api/openapi.json").json
    description = Description(described)
    for path in ("/snapshot.jpg", "/metrics"):
        response = client.get(path)
        headers = {name.lower(): value for name, value in response.headers.items()}
        assert description.complaint(Sent("GET", path, {}, b""), Answer(response.status_code, headers, response.data)) == ""
    (kind, told), *others = described["paths"]["/events"]["get"]["responses"]["200"]["content"].items()
    assert (kind, others) == ("text/event-stream", [])
    event_schema = told["schema"]["contentSchema"] | {"components": described["components"]}
    with client.get("/events") as events:
        data = (part for part in events.response if part.startswith(b"data: "))
        event = next(event for event in map(json.loads, (part[6:] for part in data)) if event["faces"])
        Draft202012Validator(event_schema).validate(event)
        assert events.mimetype == kind
    with client.get("/video_feed") as stream:
        assert stream.mimetype in described["paths"]["/video_feed"]["get"]["responses"]["200"]["content"]
        assert (
            description.complaint(Sent("GET", "/video_feed", {}, b""), Answer(200, {"content-type": stream.mimetype}, b""))
            == ""
        )
    for path in ("/video_feed", "/events", "/snapshot.jpg"):
        refused = client.get(path, headers={"Origin": "https://evil.example"})
        headers = {name.lower(): value for name, value in refused.headers.items()}
        assert refused.status_code == 403
        assert description.complaint(Sent("GET", path, {}, b""), Answer(403, headers, refused.data)) == ""
    close_app(app)


def test_refusals_keep_to_it(asked, picture, monkeypatch):
    other_site = {"Origin": "https://evil.example"}
    for status, path, options in (
        (400, ANALYZE, {"data": b"no picture"}),
        (400, ANALYZE, {"data": form(picture, "[]")}),
        (403, ANALYZE, {"data": picture, "headers": other_site}),
        (413, ANALYZE, {"data": bytes(MAX_BYTES + 1)}),
        (400, REACTIONS, {"json": {"agreed": True}}),
        (403, REACTIONS, {"json": {}}),
        (403, REACTIONS, {"json": {"agreed": True}, "headers": other_site}),
        (413, REACTIONS, {"data": b" " * 5000, "content_type": "application/json"}),
    ):
        response = asked("POST", path, **options)
        assert response.status_code == status, path
        assert re.fullmatch(r"[A-Z].*\.", response.json["error"], re.DOTALL), "a sentence"

    def busy(*_):
        raise TooBusy("Too many pictures at once; try again in a second.")

    monkeypatch.setattr("visitors.analysis.VisitorAnalysis.analyze", busy)
    assert asked("POST", ANALYZE, data=picture).status_code == 503


def test_a_limit_keeps_to_it(tmp_path):
    app = create_app(Settings(source="none", joke_url="", board="none", visitor_rate=1))
    client = app.test_client()
    description = Description(describe())
    for method, path in (("GET", JOKE), ("GET", BOARD), ("POST", ANALYZE), ("POST", REACTIONS)):
        for _ in range(20):
            response = client.open(path, method=method)
        assert response.status_code == 429
        answer = Answer(429, {name.lower(): value for name, value in response.headers.items()}, response.data)
        assert description.complaint(Sent(method, path, {}, b""), answer) == ""
    close_app(app)


def test_wrong_addresses_methods_and_names_are_refused_in_the_same_shape(client):
    for response, status in (
        (client.get("/api/v1/nothing"), 404),
        (client.get("/api/v2/analyze"), 404),
        (client.get(ANALYZE), 405),
        (client.delete(JOKE), 405),
        (client.open(BOARD, method="PROPFIND"), 405),
        (client.get(JOKE, headers={"Host": "evil.example"}), 400),
    ):
        assert response.status_code == status
        assert set(response.json) == {"error"}
    assert client.get(ANALYZE).headers["Allow"] == "OPTIONS, POST"
    assert set(client.post("/healthz").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


# Who may send


@pytest.mark.parametrize("path", [ANALYZE, REACTIONS])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://smile.example"}, True),
        ({"Origin": "http://LOCALHOST"}, True),
        ({"Origin": "http://localhost:3000"}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "ftp://localhost"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://[broken"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_only_this_apps_pages_and_programs_may_send(client, path, headers, allowed):
    response = client.post(path, data=b"{}", content_type="application/json", headers=headers)
    other_site = response.status_code == 403 and "Other sites" in response.json["error"]
    assert other_site is not allowed


# Pictures


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (6, 90), (3, 180), (8, 270)])
def test_a_picture_is_turned_upright_as_its_exif_data_says(client, astronaut, kind, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    upright = Image.fromarray(cv2.cvtColor(astronaut[:400], cv2.COLOR_BGR2RGB))
    upright.rotate(turn, expand=True).save(file, kind, exif=exif.tobytes())
    for data in (file.getvalue(), form(file.getvalue(), "{}")):
        answer = client.post(ANALYZE, data=data).json
        assert (answer["width"], answer["height"]) == (512, 400)
        [face] = answer["faces"]
        assert face["label"] == "smile"
        assert face["landmarks"]["mouth_left"][1] > face["landmarks"]["left_eye"][1], "upright"


@pytest.mark.parametrize("previous", [None, "{}"])
def test_several_faces_are_all_read(client, astronaut, previous):
    faces = np.hstack([astronaut[:300, 100:340]] * 3)
    data = cv2.imencode(".jpg", faces)[1].tobytes()
    answer = client.post(ANALYZE, data=data if previous is None else form(data, previous)).json
    assert len(answer["faces"]) == 3
    assert sorted(face["id"] for face in answer["faces"]) == [1, 2, 3]
    places = sorted(face["box"]["left"] for face in answer["faces"])
    assert all(150 < right - left < 330 for left, right in pairwise(places))


# The page


def commands(html: str) -> list[str]:
    blocks = re.findall(r'aria-label="Commands?"><code>(.*?)</code>', html, re.DOTALL)
    joined = unescape("\n".join(blocks)).replace("\\\n", " ")
    return re.split(r"\n(?=curl )", joined)


def test_the_page_says_the_limits_and_loads_nothing_from_elsewhere(client):
    response = client.get("/api")
    assert response.status_code == 200
    assert client.get("/api/").text.count("<main") == 1
    page = response.text
    for said in (f"{MAX_BYTES >> 20} MB", f"{MAX_PIXELS // 10**6} megapixels", "none is stored", "/api/openapi.json"):
        assert said in page
    for path in describe()["paths"]:
        assert path in page
    assert "//" not in page.replace("http://localhost/", ""), "no address of another host"
    assert not re.search(r"<script(?! src=\"/static)|<style|style=| on\w+=", page)
    assert "reactions" in " ".join(commands(page))


def test_without_a_board_the_page_offers_no_reactions(make_client):
    page = make_client(board="none").get("/api").text
    assert not any("reactions" in command or "board" in command for command in commands(page))


def test_the_pages_commands_work_as_they_stand(run_app, tmp_path, picture):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    app = run_app("--source", "none", "--board", tmp_path / "board.sqlite3")
    (tmp_path / "me.jpg").write_bytes(picture)
    found = commands(app.get("/api").decode())
    assert len(found) == 6
    outputs = []
    for command in found:
        words = shlex.split(command)
        assert words[0] == "curl"
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "60", "--write-out", "\n%{http_code}", *words[1:]],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        assert status in ("200", "204"), (command, body)
        outputs.append(json.loads(body) if body else None)
    still, to_file, followed, joke, reaction, board = outputs
    assert still["faces"][0]["label"] == "smile"
    assert (to_file, reaction) == (None, None)
    assert followed["faces"][0]["id"] == 1
    assert followed["state"], "the answer before was read from the file"
    assert joke["text"]
    assert board["jokes"][0]["reactions"] == 1


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_page_fits_every_screen(run_app, browser, tmp_path):
    app = run_app("--source", "none", "--board", tmp_path / "board.sqlite3")
    page = browser.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(app.url + "/api")
    beyond = "[...document.querySelectorAll('header, header *, main > *')].filter((one) => {" \
        " const box = one.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth + 1; }).length"  # fmt: skip
    for width, scheme in ((1100, "light"), (1100, "dark"), (320, "light")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width, scheme
        assert page.evaluate(beyond) == 0, (width, scheme)
        assert page.locator(".copy").count() == page.locator("pre[aria-label^=Command]").count() == 5
        save_screenshot(page, f"api-{width}-{scheme}")
    assert_commands_are_copied(page)
    assert complaints == []
    assert all(request.startswith(app.url) for request in requests)
    page.close()


def assert_commands_are_copied(page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("document.body.append(document.createElement('textarea'))")
    for which, way in ((1, "clipboard"), (3, "selection")):
        if way == "selection":  # where the page comes over plain http, scripts have no clipboard
            page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.locator(".copy").nth(which).click()
        page.locator(".copy").nth(which).get_by_text("Copied").wait_for()
        assert page.text_content("#copied") == "Copied"
        page.fill("textarea", "")
        page.focus("textarea")
        page.keyboard.press("Control+V")
        assert page.input_value("textarea") == page.locator("pre[aria-label^=Command]").nth(which).text_content()
    page.evaluate("document.querySelector('textarea').remove()")


# What never reaches the app


def test_the_servers_own_refusals_have_the_same_shape(run_app):
    app = run_app("--source", "none")
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)
    connection.putrequest("POST", ANALYZE)
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, response.getheader("Content-Type")) == (413, "application/json")
    assert "at most 12 MB" in json.loads(response.read())["error"]
    connection.close()
    for head, status in (
        (b"nonsense\r\n\r\n", 400),
        (b"POST /api/v1/analyze HTTP/1.1\r\nTransfer-Encoding: odd\r\n\r\n", 501),
    ):
        with socket.create_connection(("127.0.0.1", app.port), timeout=120) as raw:
            raw.sendall(head)
            answer = raw.makefile("rb").read()
        first, _, body = answer.partition(b"\r\n\r\n")
        assert first.split()[1] == str(status).encode()
        assert set(json.loads(body)) == {"error"}
