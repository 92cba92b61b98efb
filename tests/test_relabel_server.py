"""The relabelling server and other websites: who gets the page, who may decide, and what is no decision."""

import json
import threading
import urllib.parse
from pathlib import Path

import pytest

from tests.relabelling import opinions, post, request, rows_of, save_home
from training.data.faces import Faces
from training.labels.decisions import Journal
from training.labels.relabel_queue import make_queue
from training.labels.relabel_server import RelabelServer

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path) -> Path:
    return save_home(tmp_path)


@pytest.fixture
def server(home):
    faces = Faces.load(home / "faces.npz")
    queue = make_queue(faces, opinions(faces), limit=10, everything=True)
    with Journal(home / "decisions.csv") as journal, RelabelServer(queue, journal, by="Ann") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="relabel-test")
        thread.start()
        yield server
        server.shutdown()
        thread.join(120)


def test_the_page_is_given_to_its_own_address_only(server):
    status, body, headers = request(server, "GET", f"/{server.secret}/")
    assert (status, b"<!doctype html>" in body) == (200, True)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    for path in ("/", "//", "/wrong/", f"/{server.secret}", f"/{server.secret}x/", "/%2e%2e/", "/../training/relabel.py"):
        assert request(server, "GET", path)[0] == 404, path
    for path in (
        "faces/99.png",
        "faces/-1.png",
        "faces/x.png",
        "faces/\u00b2.png",
        "../decisions.csv",
        "faces.npz",
        "queue/",
    ):
        assert request(server, "GET", f"/{server.secret}/{urllib.parse.quote(path)}")[0] == 404, path
    assert request(server, "GET", f"/{server.secret}/queue", Host="localhost:" + str(server.server_port))[0] == 200
    for host in (
        "evil.example",
        f"evil.example:{server.server_port}",
        "127.0.0.1",
        "",
        f"127.0.0.1:{server.server_port}.evil.example",
    ):
        assert request(server, "GET", f"/{server.secret}/queue", Host=host)[0] == 403, host


def test_only_the_page_itself_may_decide(server, home):
    decision = {"face": 0, "choice": "smile"}
    own = f"127.0.0.1:{server.server_port}"
    for origin in ("", "null", "http://evil.example", f"https://{own}", f"http://{own}.evil.example", "http://127.0.0.1:1"):
        assert post(server, "decide", decision, Origin=origin) == 403, origin
        assert post(server, "undo", {}, Origin=origin) == 403, origin
    assert post(server, "decide", decision, Host="evil.example") == 403
    assert post(server, "decide", decision, Content_Type="text/plain") == 415
    assert request(server, "POST", "/wrong/decide", b"{}", Origin=f"http://{own}", Content_Type="application/json")[0] == 404
    assert request(server, "PUT", f"/{server.secret}/decide", b"{}")[0] == 501
    assert rows_of(home / "decisions.csv") == []
    assert post(server, "decide", decision) == 200
    assert len(rows_of(home / "decisions.csv")) == 1


def test_an_automatic_decision_is_shown_and_comes_back_when_a_persons_is_undone(server):
    key = server.doubts[1].key
    server.journal.replace_automatic({key: "drop"}, ["mine", "yours"])

    def decided() -> dict[str, str]:
        return json.loads(request(server, "GET", f"/{server.secret}/queue")[1])["decided"]

    assert decided() == {"1": "automatic"}
    assert post(server, "decide", {"face": 1, "choice": "smile"}) == 200
    assert decided() == {"1": "smile"}
    assert post(server, "undo", {}) == 200
    assert decided() == {"1": "automatic"}
    assert post(server, "undo", {}) == 200, "nothing left to undo"
    assert decided() == {"1": "automatic"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 900,
        b"x" * 5000,
        [],
        None,
        {"face": 0},
        {"face": 10, "choice": "smile"},
        {"face": -1, "choice": "smile"},
        {"face": True, "choice": "smile"},
        {"face": 0.0, "choice": "smile"},
        {"face": "0", "choice": "smile"},
        {"face": 0, "choice": "undo"},
        {"face": 0, "choice": ["smile"]},
        {"face": 0, "choice": "smile\nmine,x,drop,Ann,now"},
    ],
)
def test_what_is_no_decision_is_not_written(server, home, body):
    assert post(server, "decide", body) == 400
    assert rows_of(home / "decisions.csv") == []


def test_a_decision_that_can_not_be_written_is_said(server, home, monkeypatch, capsys):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("training.labels.decisions.os.fsync", full)
        assert post(server, "decide", {"face": 0, "choice": "smile"}) == 507
    assert "could not be written" in capsys.readouterr().err
    assert post(server, "decide", {"face": 1, "choice": "smile"}) == 200
    assert len(rows_of(home / "decisions.csv")) == 1
