"""`/api/openapi.json` says what is there, and what is there keeps to it: answers, refusals and limits."""

import http.client
import json
import re
import socket

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from benchmarks.stages.fuzz_findings import Answer, Description, Sent
from common.errors import TooBusy
from common.settings import Settings
from tests.api_calls import ANALYZE, BOARD, JOKE, REACTIONS, client_with_board, form, picture_of
from visitors.analysis import MAX_BYTES, MAX_PIXELS
from web.application import close_app, create_app
from web.joke_routes import MAX_BYTES as MAX_REACTION_BYTES
from web.openapi import describe

pytestmark = pytest.mark.slow

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


@pytest.fixture
def client(tmp_path):
    yield from client_with_board(tmp_path)


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
    return picture_of(astronaut)


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


@pytest.mark.usefixtures("no_second_passes")
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
