"""The page without a network: what a service worker keeps, in a real Chromium with a fake webcam, and how it is replaced."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import BaseWSGIServer, make_server

from common.places import BROWSER_RUNTIME, STATIC
from common.settings import Settings
from tests.browsers import opened_and_closed
from tests.test_reading_on_device import ON_DEVICE
from tests.test_sub_path import proxy
from tests.visits import ON_REQUEST, WebcamVisit
from tests.waiting import always
from web import device_routes
from web.application import close_app, create_app

pytestmark = pytest.mark.slow(30)
needs_runtime = pytest.mark.skipif(
    not (BROWSER_RUNTIME / "litert.js").is_file(), reason="needs LiteRT's runtime: make browser"
)
CONTROLLED = "navigator.serviceWorker.controller !== null"
KEPT = """async () => {
  const kept = {};
  for (const name of await caches.keys()) {
    kept[name] = (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname);
  }
  return kept;
}"""
KEEP_FEW_JOKES = """async ([name, told]) => {
  const jokes = [told, told, told, told, "other"].map((id) => ({ id, text: "Moo.", source: "house" }));
  await (await caches.open(name)).put(new URL("api/v1/jokes/own", location), Response.json({ jokes }));
}"""
REGISTRATIONS = "navigator.serviceWorker.getRegistrations().then((all) => all.map((one) => one.scope))"


class Stopping:
    """An app that can be stopped and started again at the same port, with scripts and styles of its own to change."""

    def __init__(self, static: Path) -> None:
        self.app = create_app(Settings(source="none", joke_url="", board="none", trusted_proxies=1, visitor_rate=0))
        shutil.copytree(STATIC, static)
        self.app.static_folder = str(static)
        self.port = 0
        self.server: BaseWSGIServer | None = None

    def start(self) -> str:
        self.server = make_server("127.0.0.1", self.port, self.app, threaded=True)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, name="stopping")
        self.thread.start()
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join(120)
            self.server = None


@pytest.fixture
def stopping(tmp_path) -> Iterator[Stopping]:
    app = Stopping(tmp_path / "static")
    yield app
    app.stop()
    close_app(app.app)


@pytest.fixture
def visit(with_webcam) -> Iterator:
    yield from opened_and_closed(
        lambda url: WebcamVisit(with_webcam, url, start=False, script=ON_DEVICE, off_line=True, reduced_motion="reduce")
    )


def hear_another(page: WebcamVisit) -> dict[str, str]:
    """Asked for until it comes: a joke may just have come by itself, and its punchline is asked for first."""
    page.page.evaluate(ON_REQUEST)
    before = page.page.get_attribute("#joke", "data-id")
    is_new = f"document.getElementById('joke').dataset.id !== {json.dumps(before)}"
    page.until(f"{is_new} || void document.getElementById('another').click()")
    return page.page.evaluate("({ ...document.getElementById('joke').dataset })")


@needs_runtime
def test_once_opened_it_works_without_a_network_and_an_update_replaces_it(stopping, visit, monkeypatch):
    page = visit(stopping.start())
    page.until(CONTROLLED)
    ((first, kept),) = page.page.evaluate(KEPT).items()
    assert {"/", "/play", "/device.json", "/api/v1/jokes/own", "/static/app.js", "/static/reading/worker.js"} <= set(kept)
    assert {path for path in kept if path.startswith("/api")} == {"/api/v1/jokes/own"}, "nothing personal is kept"
    assert len([path for path in kept if path.endswith(".wasm")]) == 1, "one engine is enough"

    stopping.stop()
    page.page.reload()
    assert page.page.is_visible("#joke")
    page.start()
    page.wait_for_face()
    assert page.box_center() > 0, "the box is drawn"
    assert page.page.evaluate("window.sent.length") == 0
    assert hear_another(page)["source"] == "house"
    assert page.page.text_content("#joke-news") == ""
    page.page.goto(page.page.url + "play")
    page.page.click("#go")
    page.until("document.getElementById('game-news').textContent === 'Stop smiling first.'")
    page.page.goto(page.page.url.removesuffix("play"))

    script = Path(stopping.app.static_folder, "app.js")
    script.write_text(script.read_text(encoding="utf-8") + "document.body.dataset.edition = 'second';\n", encoding="utf-8")
    stopping.start()
    page.page.reload()
    page.until("document.body.dataset.edition === 'second'")
    page.until(f"caches.keys().then((names) => names.length === 1 && names[0] !== {json.dumps(first)})")
    stopping.stop()
    page.page.reload()
    page.until("document.body.dataset.edition === 'second'")

    monkeypatch.setattr(device_routes.DeviceFiles, "complete", False)  # somebody removed the runtime
    stopping.start()
    page.page.reload()
    page.until(f"{REGISTRATIONS}.then((scopes) => scopes.length === 0)")
    page.until("caches.keys().then((names) => names.length === 0)")


@needs_runtime
def test_under_a_path_it_keeps_to_that_path(stopping, visit):
    stopping.start()
    with proxy(stopping.port, "/fun/smile", strips=True) as address:
        page = visit(address)
        page.until(CONTROLLED)
        assert page.page.evaluate(REGISTRATIONS) == [address]
        ((name, kept),) = page.page.evaluate(KEPT).items()
        assert address in name
        assert all(path.startswith("/fun/smile/") for path in kept)
    page.page.reload()
    told = page.page.get_attribute("#joke", "data-id")
    page.page.evaluate(KEEP_FEW_JOKES, [name, told])
    asked = page.page.evaluate("fetch('api/v1/jokes/random').then((answer) => answer.json())")
    assert asked["id"] == "other", "the joke that came with the page is not told again at once"
    assert hear_another(page)["source"] == "house"


def test_without_the_runtime_there_is_no_worker(stopping, visit, monkeypatch):
    monkeypatch.setattr(device_routes.DeviceFiles, "complete", False)
    page = visit(stopping.start())
    page.until("document.readyState === 'complete'")
    always(lambda: page.page.evaluate(REGISTRATIONS) == [])
    assert not any("sw.js" in request for request in page.requests)
    assert page.complaints == []


def listed(client, engine: str = "litert_wasm_internal") -> dict:
    response = client.get(f"/sw.js?engine={engine}")
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.mimetype == "text/javascript"
    return json.loads(response.text.partition("const KEPT = ")[2].partition(";\n")[0])


@pytest.fixture
def runtime(monkeypatch, tmp_path) -> Path:
    """A folder that the app takes for what `make browser` made."""
    for name in ("litert.js", *(f"{engine}.{end}" for engine in device_routes.ENGINES for end in ("js", "wasm"))):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(device_routes.DeviceFiles.__init__, "__defaults__", (tmp_path,))
    return tmp_path


def test_the_worker_lists_what_is_there_and_its_version_changes_with_any_of_it(make_client, runtime, tmp_path):
    client = make_client(board="none")
    before = listed(client)
    for path in before["files"]:
        assert client.get(f"/{path}", buffered=True).status_code == 200, path
    assert "data-keeps" in client.get("/").text
    assert listed(make_client(board="none")) == before, "it is the same for each process"
    (tmp_path / "jokes.txt").write_text("What is kept? This one.\n", encoding="utf-8")
    others = [listed(make_client(jokes=tmp_path / "jokes.txt")), listed(make_client(board=str(tmp_path / "board")))]
    static = tmp_path / "static"
    shutil.copytree(STATIC, static)
    client.application.static_folder = str(static)
    assert listed(client) == before
    (static / "app.css").write_bytes(b"")
    others.append(listed(client))
    (runtime / "litert.js").write_bytes(b"another")
    others.append(listed(client))
    assert len({before["version"], *(other["version"] for other in others)}) == 5


def test_a_browser_keeps_the_engine_that_it_can_run(make_client, runtime):
    def engines(engine: str) -> set[str]:
        return {path.rpartition("/")[2] for path in listed(make_client(), engine)["files"] if path.endswith(".wasm")}

    for engine in device_routes.ENGINES:
        assert engines(engine) == {f"{engine}.wasm"}
    assert engines("") == engines("nothing") == set()


def test_without_the_runtime_the_worker_has_nothing_to_keep(make_client, monkeypatch, tmp_path):
    monkeypatch.setattr(device_routes.DeviceFiles.__init__, "__defaults__", (tmp_path,))
    client = make_client()
    assert listed(client)["files"] == []
    assert "data-keeps" not in client.get("/").text


def test_the_apps_own_jokes_come_all_at_once(make_client, tmp_path):
    (tmp_path / "jokes.txt").write_text("What is kept? This one.\n", encoding="utf-8")
    (joke,) = make_client(jokes=tmp_path / "jokes.txt").get("/api/v1/jokes/own").json["jokes"]
    assert joke["source"] == "file"
    assert len(make_client().get("/api/v1/jokes/own").json["jokes"]) > 200
