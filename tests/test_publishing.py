"""What a published app is made of: its image has all it needs, and what stands round it keeps others out."""

import fnmatch
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from common.settings import Settings
from tests.project import ROOT, clean_environment

yaml = pytest.importorskip("yaml")

# Never imported by the app: left out of the image, or of its packages.
_NOT_IN_IMAGE = ("tensorflow", "keras", "sklearn", "matplotlib", "skimage", "face_recognition", "face_recognition_models")


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
    left_out = shutil.ignore_patterns("__pycache__")  # another process may be writing there
    for sources, target in copies(dockerfile)[1:]:  # the first is for the stage that installs packages
        for source in sources:
            for path in ROOT.glob(source):
                where = image / target / (path.name if path.is_file() and target.endswith("/") else "")
                where.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copyfile)(
                    path, where, **({"dirs_exist_ok": True, "ignore": left_out} if path.is_dir() else {})
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
    named = [
        (name, value)
        for service in compose["services"].values()
        for name, value in service["environment"].items()
        if "PASSWORD" in name
    ]
    assert named
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", value) for _, value in named), named


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
