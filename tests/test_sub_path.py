"""The app behind a proxy that serves it under a path of its own, such as https://example.org/smile/."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.browsers import opened_and_closed
from tests.visits import WebcamVisit

pytestmark = pytest.mark.slow(35)

ROOT = Path(__file__).parents[1]


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:href|src|action)="([^"#][^"]*)"', page)


@pytest.mark.parametrize("path", ["/", "/play", "/jokes", "/api"])
@pytest.mark.parametrize("keeps_prefix", [True, False])
def test_every_address_of_a_page_begins_with_the_path_that_a_trusted_proxy_names(make_client, path, keeps_prefix):
    ours = make_client(trusted_proxies=1)
    page = ours.get(("/smile" if keeps_prefix else "") + path, headers={"X-Forwarded-Prefix": "/smile"})
    assert page.status_code == 200
    found = addresses(page.text)
    assert len(found) > 4
    assert all(address.startswith("/smile/") for address in found)


def test_the_servers_own_mount_point_counts_too(make_client):
    page = make_client().get("/", environ_overrides={"SCRIPT_NAME": "/smile"})
    assert all(address.startswith("/smile/") for address in addresses(page.text))


def test_what_is_said_about_addresses_has_the_path_too(make_client):
    ours = make_client(trusted_proxies=1)
    prefix = {"X-Forwarded-Prefix": "/a/smile/"}
    assert "http://localhost/a/smile/api/v1/analyze" in ours.get("/api", headers=prefix).text
    assert ours.get("/api/openapi.json", headers=prefix).json["servers"] == [{"url": "/a/smile"}]
    assert "the page is at /a/smile/." in ours.get("/nowhere", headers=prefix).text
    assert ours.get("/api/openapi.json").json["servers"] == [{"url": "/"}]
    assert "the page is at /." in ours.get("/nowhere").text


@pytest.mark.parametrize(
    "prefix",
    [
        *("//evil.example", "https://evil.example", "/smile//x", "smile", "/..", "/a/../b"),
        *("/<script>", '/"x', "/%2e", "/////", "/" + "x" * 300),
    ],
)
def test_a_path_that_is_none_is_not_believed(make_client, prefix):
    page = make_client(trusted_proxies=1).get("/", headers={"X-Forwarded-Prefix": prefix})
    assert page.status_code == 200
    assert all(re.fullmatch(r"/|/static/.+|/play|/jokes|/api", address) for address in addresses(page.text))


def test_strangers_are_not_believed(make_client):
    page = make_client().get("/", headers={"X-Forwarded-Prefix": "/smile"})
    assert all(not address.startswith("/smile") for address in addresses(page.text))


def test_scripts_and_manifest_name_no_address_from_the_root():
    for script in (ROOT / "static").rglob("*.js"):
        assert not re.findall(r"""["'`]/[a-z]""", script.read_text()), script.name
    manifest = json.loads((ROOT / "static/manifest.webmanifest").read_text())
    assert (manifest["start_url"], manifest["scope"]) == ("../", "../")
    assert "id" not in manifest, "it would be that of whatever else is on this host"


# --- with a real browser ---


@contextmanager
def proxy(port: int, prefix: str, *, strips: bool) -> Iterator[str]:
    """What the recipes for Caddy and nginx do; yields the address under which the app is served, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            headers |= {"X-Forwarded-Prefix": prefix, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"}
            try:
                connection.request(self.command, self.path.removeprefix(prefix) if strips else self.path, body, headers)
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.end_headers()
                while chunk := answer.read1(65536):
                    self.wfile.write(chunk)
            except OSError:
                pass
            finally:
                connection.close()

        do_POST = do_GET

        def log_message(self, *_) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="proxy")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(120)


@pytest.fixture
def visit(with_webcam) -> Iterator:
    yield from opened_and_closed(lambda url, *, browser=with_webcam, **options: WebcamVisit(browser, url, **options))


@pytest.mark.parametrize("strips", [True, False])
def test_a_visitor_smiles_and_hears_jokes_under_a_path(run_app, visit, strips, tmp_path):
    app = run_app("--source", "none", "--trusted-proxies", "1", "--board", tmp_path / "board.sqlite3")
    with proxy(app.port, "/fun/smile", strips=strips) as address:
        page = visit(address)
        page.wait_for_face()
        page.until("!document.body.classList.contains('waiting')")  # else the click asks for the punchline
        joke = page.page.text_content("#joke")
        page.page.click("#another")
        page.until(f"document.getElementById('joke').textContent !== {joke!r}")
        assert all(request.startswith((address, "blob:", "data:")) for request in page.requests)
        page.page.click("nav a[href$='/jokes']")
        page.page.wait_for_url("**/fun/smile/jokes")
        assert page.complaints == []


def test_the_servers_camera_is_watched_under_a_path(run_app, visit, face_picture):
    app = run_app("--source", face_picture, "--trusted-proxies", "1")
    with proxy(app.port, "/smile", strips=True) as address:
        page = visit(address, start=False)
        page.wait_for_face()
        page.until("document.getElementById('clean').dataset.frame > 0")
        assert page.complaints == []


def test_the_recipes_name_the_path_to_the_app():
    for name in ("app.caddy", "nginx.conf"):
        assert "X-Forwarded-Prefix" in (ROOT / "deploy" / name).read_text(), "what visitors send is replaced or removed"
    text = (ROOT / "docs/deploy.md").read_text()
    part = text.partition("## Under a path")[2].partition("\n## ")[0]
    assert "handle_path /smile/*" in part
    assert "header_up X-Forwarded-Prefix /smile" in part
    assert "proxy_pass http://dad_jokes/;" in part
    assert "proxy_set_header X-Forwarded-Prefix /smile;" in part


def recipe(language: str) -> str:
    """The only block of this language in the part about a path of its own."""
    part = (ROOT / "docs/deploy.md").read_text().partition("## Under a path")[2].partition("\n## ")[0]
    [block] = re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)
    return block


def nginx_files(folder: Path, listen: int, app: int) -> list[str]:
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {paths} upstream dad_jokes {{ server 127.0.0.1:{app}; }}\n"
        f"server {{ listen 127.0.0.1:{listen}; {recipe('nginx')} }} }}"
    )
    return ["nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy_files(folder: Path, listen: int, app: int) -> list[str]:
    site = recipe("caddy").replace("127.0.0.1:5000", f"127.0.0.1:{app}")
    settings = f"{{\nadmin off\nauto_https off\nstorage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(f"{settings}http://127.0.0.1:{listen} {{\n{site}\n}}\n")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@pytest.mark.parametrize(("program", "make"), [("nginx", nginx_files), ("caddy", caddy_files)])
def test_the_recipes_serve_the_app_under_the_path(program, make, run_app, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    app = run_app("--source", "none", "--trusted-proxies", "1")
    command = make(tmp_path, listen, app.port)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)})
    try:
        page = get_until_it_answers(f"http://127.0.0.1:{listen}/smile", process, tmp_path / "log")
        assert page.url.endswith("/smile/")
        found = addresses(page.text)
        assert found
        assert all(address.startswith("/smile/") for address in found)
        base = f"http://127.0.0.1:{listen}"
        for address in (*found, "/smile/static/app.js", "/smile/api/openapi.json"):
            assert requests.get(base + address, timeout=120).status_code == 200, address
        for address in ("/smile/metrics", "/smile/healthz"):
            assert requests.get(base + address, timeout=120).status_code == 404
        foreign = requests.get(f"{base}/smile/", headers={"X-Forwarded-Prefix": "/evil"}, timeout=120)
        assert "/evil" not in foreign.text
    finally:
        process.terminate()
        process.wait(120)


def get_until_it_answers(url: str, process: subprocess.Popen, log: Path) -> requests.Response:
    deadline = time.monotonic() + 120
    while True:
        try:
            return requests.get(url, timeout=120)
        except requests.ConnectionError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
