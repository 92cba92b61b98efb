"""What a published app sends and believes: its headers, no other host, and what a proxy says of a visitor."""

import contextlib
import http.client
import json
import re
import socket
import threading

import pytest
from flask import request

from common.settings import Settings
from serving.server import make_server
from tests.project import ROOT
from web.application import close_app, create_app
from web.device_routes import WORKER

_OWN_HOSTS = {"127.0.0.1", "localhost"}
_NO_HOSTS = {"www.w3.org", "schema.org"}  # of names in SVG and metadata, which no browser opens


# What it sends


def paths(app) -> list[str]:
    """Every address that answers GET and does not stream."""
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]
    return sorted(rule.rule for rule in rules if rule.rule not in ("/video_feed", "/events", "/snapshot.jpg"))


def test_no_answer_sets_a_cookie_and_all_have_the_security_headers(make_client):
    client = make_client()
    statics = [
        "/static/" + str(file.relative_to(ROOT / "static")) for file in (ROOT / "static").rglob("*") if file.is_file()
    ]
    served = paths(client.application)
    assert {"/", "/jokes", "/healthz", "/metrics", "/api/v1/jokes/random"} <= set(served)
    for path in [*served, *statics, "/nothing", "/api/v1/nothing"]:
        with client.get(path) as response:
            assert "Set-Cookie" not in response.headers, path
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'"), path
            if path.endswith(WORKER):
                policy = policy.replace(" 'wasm-unsafe-eval'", "")
            assert "unsafe" not in policy, path
            assert "*" not in policy
            assert not re.search(r"https?:", policy)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert response.headers["Permissions-Policy"].startswith("camera=(self)")
            assert "Strict-Transport-Security" not in response.headers, "that is the proxy's to say"
    posted = client.post("/api/v1/analyze", data=b"x", headers={"Cookie": "a=b"})
    assert "Set-Cookie" not in posted.headers


def test_nothing_that_is_served_loads_from_another_host(make_client):
    client = make_client()
    texts = {path: client.get(path).text for path in paths(client.application) if path not in ("/metrics",)}
    for file in (ROOT / "static").rglob("*"):
        if file.suffix in (".js", ".css", ".svg", ".html", ".json", ".webmanifest"):
            texts[file.name] = file.read_text(encoding="utf-8")
    loads = re.compile(
        r"""(?:\bsrc|\bhref|\baction|\bposter|\bdata|srcset)\s*=\s*["']?\s*(?:https?:)?//([\w.-]+)"""
        r"""|url\(\s*["']?(?:https?:)?//([\w.-]+)|@import\s+["'](?:https?:)?//([\w.-]+)"""
        r"""|(?:fetch|import|EventSource|WebSocket|Worker|from)\s*\(?\s*["'`](?:https?:|wss?:)?//([\w.-]+)"""
    )
    links = re.compile(r"<a\b[^>]*>", re.IGNORECASE)  # a link is followed by the visitor, not by the page
    for name, text in texts.items():
        hosts = {next(filter(None, found)) for found in loads.findall(links.sub("", text))} - _OWN_HOSTS - _NO_HOSTS
        assert not hosts, f"{name} loads from {hosts}"


# What it believes


@contextlib.contextmanager
def served(**options):
    """An app behind the real server, with one route more: who and what the app takes a request for. Yields the port."""
    settings = Settings(**{"source": "none", "joke_url": "", "board": "none", "viewer_limit": 1, **options})
    app = create_app(settings)

    @app.get("/seen")
    def seen() -> dict:
        forwarded = [name for name, _ in request.headers if name.startswith("X-Forwarded")]
        return {"address": request.remote_addr, "scheme": request.scheme, "host": request.host, "forwarded": forwarded}

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(app, listener, settings)
        ended = threading.Event()

        def run() -> None:
            while not ended.is_set():
                server.asyncore.loop(timeout=0.1, map=server._map, count=1)

        thread = threading.Thread(target=run, name="served")
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join(120)
            server.task_dispatcher.shutdown(timeout=1)
            for channel in list(server.active_channels.values()):
                channel.handle_close()
            server.trigger.close()
            close_app(app)


def seen(port: int, **headers: str) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request("GET", "/seen", headers={name.replace("_", "-"): value for name, value in headers.items()})
        return json.loads(connection.getresponse().read())


def test_forwarded_headers_of_anybody_are_ignored():
    with served() as port:
        found = seen(port, X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https", X_Forwarded_Host="evil.example")
    assert found == {"address": "127.0.0.1", "scheme": "http", "host": f"127.0.0.1:{port}", "forwarded": []}


def test_one_trusted_proxy_names_the_visitor_and_the_scheme():
    with served(trusted_proxies=1, allow_host="smiles.example.org") as port:
        behind = {"Host": "smiles.example.org", "X_Forwarded_Proto": "https"}
        found = seen(port, X_Forwarded_For="203.0.113.7", X_Forwarded_Host="evil.example", **behind)
        assert (found["address"], found["scheme"], found["host"]) == ("203.0.113.7", "https", "smiles.example.org")
        assert "X-Forwarded-Host" not in found["forwarded"]
        forged = seen(port, X_Forwarded_For="198.51.100.1, 203.0.113.7", **behind)
        assert forged["address"] == "203.0.113.7", "what the visitor put before the proxy's own entry counts for nothing"
        assert seen(port)["address"] == "127.0.0.1", "without a proxy, as for the health check, it is who connects"


def test_two_trusted_proxies_name_who_came_to_the_first():
    with served(trusted_proxies=2) as port:
        assert seen(port, X_Forwarded_For="198.51.100.1, 203.0.113.7, 10.0.0.1")["address"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://smiles.example.org", 400), ("https://evil.example", 403), ("null", 403), (None, 400)],
)
def test_behind_a_proxy_only_our_own_page_may_post(origin, status):
    # 400: it got past the check, and what it sent is no picture.
    with served(trusted_proxies=1, allow_host="smiles.example.org") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        with contextlib.closing(connection):
            headers = {"Host": "smiles.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
            connection.request("POST", "/api/v1/analyze", b"x", headers | ({"Origin": origin} if origin else {}))
            assert connection.getresponse().status == status
