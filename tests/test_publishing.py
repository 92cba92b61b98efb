"""What a published app must hold to: its headers, what it believes of a proxy, and that its image has all it needs."""

import contextlib
import fnmatch
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from flask import request

from common.settings import Settings
from serving.server import make_server
from tests.conftest import ROOT, clean_environment
from web.application import close_app, create_app
from web.device_routes import WORKER

yaml = pytest.importorskip("yaml")

# Never imported by the app: left out of the image, or of its packages.
_NOT_IN_IMAGE = ("tensorflow", "keras", "sklearn", "matplotlib", "skimage", "face_recognition", "face_recognition_models")
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


# The image


def instructions(text: str) -> list[tuple[str, str]]:
    """`(instruction, rest)` of a Dockerfile, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    parts = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(name.upper(), rest.strip()) for name, _, rest in parts]


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    return instructions((ROOT / "Dockerfile").read_text())


def copies(dockerfile) -> list[tuple[list[str], str]]:
    """`(sources, target)` of each COPY from the project."""
    words = [rest.split() for name, rest in dockerfile if name == "COPY" and "--from" not in rest]
    return [(one[:-1], one[-1]) for one in words]


def test_all_that_is_copied_is_there_and_reaches_docker(dockerfile):
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines, "everything else is kept back"
    for sources, _ in copies(dockerfile):
        for source in sources:
            assert list(ROOT.glob(source)), source
            assert any(fnmatch.fnmatch(source, pattern) or source == pattern for pattern in allowed), source


def test_the_image_runs_as_nobody_in_particular_and_tells_its_health(dockerfile):
    stages = [i for i, (name, _) in enumerate(dockerfile) if name == "FROM"]
    last = dict(dockerfile[stages[-1] :])
    assert last["USER"] == "10001:10001"
    assert "/healthz" in last["HEALTHCHECK"]
    command = json.loads(last["HEALTHCHECK"][last["HEALTHCHECK"].index("CMD") + 3 :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert not any("training" in rest or "dev.txt" in rest for _, rest in dockerfile)


@pytest.mark.skipif(os.name == "nt", reason="the image is Linux's")
def test_what_is_copied_suffices_to_serve(dockerfile, tmp_path, face_picture):
    image = tmp_path / "app"
    for sources, target in copies(dockerfile)[1:]:  # the first is for the stage that installs packages
        for source in sources:
            for path in ROOT.glob(source):
                where = image / target / (path.name if path.is_file() and target.endswith("/") else "")
                where.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copyfile)(
                    path, where, **({"dirs_exist_ok": True} if path.is_dir() else {})
                )
    assert (image / "app.py").is_file()
    assert not (image / "training").exists()
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {_NOT_IN_IMAGE!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    settings = dict(re.findall(r"(SMILE_\w+)=(\S+)", next(rest for name, rest in dockerfile if name == "ENV")))
    changed = {
        "SMILE_HOST": "127.0.0.1",
        "SMILE_PORT": str(free_port()),
        "SMILE_BOARD": str(tmp_path / "board.sqlite3"),
        "SMILE_JOKE_URL": "",
        "PYTHONPATH": str(tmp_path / "hook"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment = {name: value for name, value in clean_environment().items() if not name.startswith("SMILE_")}
    before = set(image.rglob("*"))
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=image, env=environment | settings | changed, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["event"] == "started"
        address = f"http://127.0.0.1:{changed['SMILE_PORT']}"
        check = next(rest for name, rest in dockerfile if name == "HEALTHCHECK")
        command = json.loads(check[check.index("CMD") + 3 :].replace("timeout=4", "timeout=60"))
        healthy = subprocess.run([sys.executable, *command[1:]], env=environment | settings | changed, timeout=120)
        assert healthy.returncode == 0, "the image's own health check"
        for path in ("/", "/static/app.css", "/api/v1/jokes/random"):
            with urllib.request.urlopen(address + path, timeout=120) as response:
                assert response.status == 200
        analysed = urllib.request.Request(address + "/api/v1/analyze", face_picture.read_bytes())
        with urllib.request.urlopen(analysed, timeout=120) as response:
            assert len(json.load(response)["faces"]) == 1
    finally:
        process.terminate()
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert set(image.rglob("*")) == before, "nothing is written beside the code: it is read-only there"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


# What stands round it


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_only_the_proxy_is_open_and_the_database_is_shut_in(compose):
    services = compose["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["db"]["networks"] == ["back"]
    assert compose["networks"]["back"]["internal"] is True
    assert services["app"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert services["proxy"]["depends_on"] == {"app": {"condition": "service_healthy"}}
    assert "healthcheck" in services["db"]
    assert all("mem_limit" in service for service in services.values())
    assert services["app"]["read_only"] is True
    assert services["app"]["environment"]["SMILE_TRUSTED_PROXIES"] == "1"


def test_passwords_have_no_default(compose):
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name:
                assert re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", value)


def test_files_and_settings_that_are_named_exist(compose):
    for volume in compose["services"]["proxy"]["volumes"]:
        source = re.sub(r"\$\{SMILE_CADDYFILE:-(\w+)\}", r"\1", volume).partition(":")[0]
        assert not source.startswith(".") or (ROOT / source).is_file()
    known = {f"SMILE_{name.upper()}" for name in vars(Settings())}
    assert {name for name in compose["services"]["app"]["environment"] if name.startswith("SMILE_")} <= known
    unit = (ROOT / "deploy" / "dad-jokes.service").read_text()
    set_there = set(re.findall(r"(SMILE_\w+)=", unit))
    assert set_there
    assert set_there <= known
    image = set(re.findall(r"(SMILE_\w+)=", (ROOT / "Dockerfile").read_text()))
    assert image <= known


def test_options_and_files_that_the_page_on_publishing_names_exist():
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    known = {"--" + name.replace("_", "-") for name in vars(Settings())}
    named = set(re.findall(r"`(--[a-z-]+)", text)) | set(re.findall(r"python app\.py[^`\n]* (--[a-z-]+)", text))
    assert {"--workers", "--trusted-proxies", "--allow-host", "--visitor-rate"} <= named
    assert named <= known
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (ROOT / "docs" / link).exists(), link
    for name in ("app.caddy", "Caddyfile", "Caddyfile.lan", "nginx.conf", "dad-jokes.service"):
        assert (ROOT / "deploy" / name).is_file()
        assert f"deploy/{name}" in text
    anchors = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("caddy", ["caddy", "validate", "--adapter", "caddyfile", "--config", "Caddyfile"]),
        ("caddy", ["caddy", "validate", "--adapter", "caddyfile", "--config", "Caddyfile.lan"]),
        ("docker-compose", ["docker-compose", "--file", "../compose.yaml", "config", "--quiet"]),
    ],
)
def test_tools_that_are_here_take_their_files(tool, command):
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    environment = os.environ | {"SMILE_NAME": "localhost", "POSTGRES_PASSWORD": "x"}
    done = subprocess.run(command, cwd=Path(ROOT) / "deploy", capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
