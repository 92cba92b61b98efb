"""POST /api/v1/reactions and GET /api/v1/jokes/board, with a board, without one, and over a restart."""

import json
import logging
import random
import re
import subprocess
import sys
import urllib.request

import pytest

from common.settings import Settings
from jokes.quotas import COUNTED_PER_MINUTE
from jokes.sources import house_jokes
from tests.project import ROOT, clean_environment
from web.application import close_app, create_app

ADDRESS = "/api/v1/reactions"
BOARD = "/api/v1/jokes/board"


@pytest.fixture
def make_client(tmp_path):
    apps = []

    def make(**options):
        usual = {"source": "none", "joke_url": "", "board": str(tmp_path / "board.sqlite3"), "visitor_rate": 0}
        app = create_app(Settings(**{**usual, **options}))
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        close_app(app)


@pytest.fixture
def client(make_client):
    return make_client()


def told(client) -> dict:
    joke = client.get("/api/v1/jokes/random").json
    return {"id": joke["id"], "source": joke["source"]}


def reaction(client, **changes) -> dict:
    return {"joke": told(client), "before": 0.1, "peak": 0.8, "seconds": 2.5, "agreed": True} | changes


def stored(client) -> int:
    return sum(joke["reactions"] for joke in client.get(BOARD).json["jokes"])


def test_a_smile_at_a_joke_that_was_told_is_counted_once(client):
    body = reaction(client)
    response = client.post(ADDRESS, json=body)
    assert (response.status_code, response.data) == (204, b"")
    board = client.get(BOARD)
    assert board.headers["Cache-Control"] == "no-store"
    assert (board.json["kept"], board.json["interval"]) == (True, 0.95)
    (joke,) = board.json["jokes"]
    assert {"id": joke["id"], "source": joke["source"]} == body["joke"]
    assert joke["text"] in [one.text for one in house_jokes()]
    assert (joke["reactions"], joke["mean"], joke["seconds"]) == (1, 0.7, 2.5)
    assert joke["low"] < joke["estimate"] < joke["high"]
    response = client.post(ADDRESS, json=body)
    assert response.status_code == 409
    assert "counted already" in response.json["error"]
    assert stored(client) == 1


def test_the_joke_on_the_page_counts_as_told_too(client):
    identity = re.search(r'data-id="([^"]+)"', client.get("/").text)[1]
    joke = {"id": identity, "source": "house"}
    assert client.post(ADDRESS, json=reaction(client, joke=joke)).status_code == 204


@pytest.mark.parametrize("agreed", [False, None, 1, "true", "yes", [True]])
def test_without_consent_nothing_is_stored(client, tmp_path, agreed):
    body = reaction(client, agreed=agreed)
    for sent in (body, {name: value for name, value in body.items() if name != "agreed"}):
        response = client.post(ADDRESS, json=sent)
        assert response.status_code == 403
        assert "consent" in response.json["error"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"joke": {"id": "never-told", "source": "house"}},
        {"joke": {"id": "never-told"}},
        {"joke": None},
        {"joke": {"id": ["x"], "source": {}}},
        {"before": -0.1},
        {"before": "0.5"},
        {"before": True},
        {"before": None},
        {"peak": 1.01},
        {"peak": float("nan")},
        {"peak": 10**400},
        {"seconds": 61},
        {"seconds": float("inf")},
    ],
)
def test_what_is_no_reaction_is_refused_in_a_sentence(client, tmp_path, changes):
    response = client.post(ADDRESS, json=reaction(client, **changes))
    assert response.status_code == 400
    assert set(response.json) == {"error"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 4000, "application/json", 400),
        (b"{}", "text/plain", 400),
        (b"agreed=true", "application/x-www-form-urlencoded", 400),
        (b" " * 5000, "application/json", 413),
        (b"{}", "application/json", 403),
    ],
)
def test_what_is_no_json_object_is_refused_in_a_sentence(client, data, kind, status):
    response = client.post(ADDRESS, data=data, content_type=kind)
    assert response.status_code == status
    assert set(response.json) == {"error"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 204),
        ({"Origin": "https://smile.example"}, 204),
        ({}, 204),
    ],
)
def test_only_this_apps_own_page_may_send_smiles(make_client, headers, status):
    client = make_client(allow_host="smile.example")
    response = client.post(ADDRESS, json=reaction(client), headers=headers)
    assert response.status_code == status
    assert stored(client) == (1 if status == 204 else 0)


@pytest.mark.usefixtures("no_second_passes")
def test_a_flood_is_held_back(client):
    answers = [client.post(ADDRESS, json=reaction(client)) for _ in range(COUNTED_PER_MINUTE + 5)]
    assert [answer.status_code for answer in answers] == [204] * COUNTED_PER_MINUTE + [429] * 5
    assert answers[-1].headers["Retry-After"] == "60"


def test_hundreds_of_random_bodies_never_break_it(client):
    chance = random.Random(11)
    joke = told(client)

    def anything(depth: int = 0):
        kinds = [None, True, False, 0, 1, -1, 0.5, 10**30, float("nan"), "", "house", "\ud800", "x" * 300, joke, joke["id"]]
        if depth < 3:
            kinds += [[anything(depth + 1)], {chance.choice(["id", "source", "peak", ""]): anything(depth + 1)}]
        return chance.choice(kinds)

    def nearly() -> bytes:
        body = {"joke": joke, "before": 0.1, "peak": 0.8, "seconds": 2.5, "agreed": True}
        for name in chance.sample(sorted(body), chance.randint(1, 3)):
            body[name] = anything()
        return json.dumps(body).encode()

    def cut() -> bytes:
        body = bytearray(nearly())
        for _ in range(chance.randint(1, 8)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        return bytes(body[: chance.randrange(1, len(body) + 1)])

    statuses = set()
    for i in range(600):
        makers = (nearly, cut, lambda: json.dumps(anything()).encode(), lambda: chance.randbytes(chance.randrange(200)))
        response = client.post(ADDRESS, data=makers[i % 4](), content_type="application/json")
        statuses.add(response.status_code)
        assert response.status_code < 500, response.text
        if response.status_code != 204:
            assert set(response.json) == {"error"}
    assert {400, 403} <= statuses
    assert client.get("/jokes").status_code == 200


# Without a board


def test_pages_and_jokes_alone_never_make_a_board(client, tmp_path):
    for path in ("/", "/api/v1/jokes/random", BOARD, "/jokes", "/healthz"):
        assert client.get(path).status_code == 200
    assert client.get(BOARD).json["jokes"] == []
    assert "Be the first" in client.get("/jokes").text
    assert list(tmp_path.iterdir()) == []


def test_making_the_app_does_not_open_the_default_board(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    app = create_app(Settings(source="none", joke_url=""))
    app.test_client().get("/")
    close_app(app)
    assert list(tmp_path.iterdir()) == []
    assert not (ROOT / "instance").exists()


def test_the_database_library_is_loaded_for_a_board_only(tmp_path):
    code = (
        "import sys\n"
        "from web.application import create_app, close_app\n"
        "from common.settings import Settings\n"
        "app = create_app(Settings(source='none', joke_url='', board=sys.argv[1]))\n"
        "assert app.test_client().get('/jokes').status_code == app.test_client().get('/').status_code == 200\n"
        "close_app(app)\n"
        "print('sqlalchemy' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "board.sqlite3")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=clean_environment())
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_with_none_nothing_is_stored_and_it_is_said(make_client, tmp_path):
    client = make_client(board="none")
    response = client.post(ADDRESS, json=reaction(client))
    assert (response.status_code, set(response.json)) == (404, {"error"})
    assert client.get(BOARD).json == {"kept": False, "interval": 0.95, "typical": 0.2, "jokes": []}
    assert "--board none" in client.get("/jokes").text
    assert list(tmp_path.iterdir()) == []


def test_a_board_that_can_not_be_used_never_breaks_page_or_jokes(make_client, tmp_path, caplog):
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database, but long enough to be looked at " * 200)
    client = make_client(board=str(damaged))
    assert client.get("/").status_code == 200
    with caplog.at_level(logging.WARNING):
        body = reaction(client)
        for response in (client.post(ADDRESS, json=body), client.post(ADDRESS, json=body), client.get(BOARD)):
            assert response.status_code == 503, "a second try is not refused as counted already"
            assert response.headers["Retry-After"]
            assert "can't be used" in response.json["error"]
            assert str(tmp_path) not in response.json["error"], "paths are for the log"
    assert any(str(damaged) in record.fields["message"] for record in caplog.records if hasattr(record, "fields"))
    page = client.get("/jokes")
    assert page.status_code == 503
    assert "You can still hear jokes" in page.text
    assert client.get("/api/v1/jokes/random").status_code == 200


def test_the_real_server_counts_smiles_and_keeps_them_over_a_restart(run_app, tmp_path):
    file = tmp_path / "board.sqlite3"
    app = run_app("--source", "none", "--board", file)
    joke = app.json("/api/v1/jokes/random")
    body = {"joke": {"id": joke["id"], "source": joke["source"]}, "before": 0, "peak": 1, "seconds": 3, "agreed": True}
    request = urllib.request.Request(app.url + ADDRESS, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        assert response.status == 204
    app.stop()
    again = run_app("--source", "none", "--board", file)
    assert again.json(BOARD)["jokes"][0]["text"] == joke["text"]
    assert [path.name for path in tmp_path.iterdir()] == ["board.sqlite3"], "and no other file is left beside it"
