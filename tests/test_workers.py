"""Several processes behind one address: who serves, what happens when one dies, and what they share."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from common.errors import ProcessesError
from common.settings import Settings, parse_settings
from serving import worker_processes
from serving.worker_processes import WorkerProcesses
from tests.project import ROOT, clean_environment
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow(20)

needs_workers = pytest.mark.skipif(os.name == "nt", reason="Windows serves with one process")


class Visitor:
    """A browser's connection, kept open: always the same worker."""

    def __init__(self, app) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)

    def get(self, path: str) -> dict:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        assert response.status == 200
        return json.loads(response.read())

    def post(self, path: str, body: dict) -> int:
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        response.read()
        return response.status

    @property
    def worker(self) -> int:
        return self.get("/healthz")["worker"]

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def visitors(app, count: int):
    """So many connections, once both workers serve; both have some of them."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.ExitStack() as stack:
            several = [stack.enter_context(contextlib.closing(Visitor(app))) for _ in range(count)]
            if {visitor.worker for visitor in several} == {1, 2}:
                yield several
                return
        time.sleep(0.5)
    raise AssertionError(f"two workers did not come to serve; the app said {app.lines}")


def wait_for_both(app) -> None:
    with visitors(app, 2):
        pass


def pids(app) -> dict[int, int]:
    """The process of each worker, by its number, as the log says."""
    found = (re.search(r"event=worker status=started number=(\d+) pid=(\d+)", line) for line in app.lines)
    return {int(match[1]): int(match[2]) for match in found if match}


def wait_until_gone(numbers: list[int]) -> None:
    def runs(number: int) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # in some containers nobody buries whose parent has ended
            return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
        return False

    eventually(lambda: not any(map(runs, numbers)), "a worker is left")


@needs_workers
def test_visitors_are_dealt_out_evenly_and_keep_their_worker(run_app):
    app = run_app("--source", "none", "--workers", "2")
    wait_for_both(app)  # one that is not there yet is dealt nothing
    with visitors(app, 8) as several:
        assert len({*pids(app).values(), app.process.pid}) == 3, "two workers, and the supervisor, which serves nobody"
        served = [visitor.worker for visitor in several]
        assert min(served.count(1), served.count(2)) >= 3
        assert [visitor.worker for visitor in several] == served
        metrics = app.get("/metrics").decode()
    assert re.search(r'^smile_uptime_seconds\{worker="[12]"\}', metrics, re.MULTILINE)


@needs_workers
def test_a_killed_worker_is_replaced_and_requests_go_on(run_app):
    app = run_app("--source", "none", "--workers", "2")
    wait_for_both(app)
    before = pids(app)
    os.kill(before[1], signal.SIGKILL)
    lost = 0

    def asked_and_replaced() -> bool:
        nonlocal lost
        try:
            assert app.json("/healthz")["status"] == "ok"
        except OSError:  # what the killed one had been given just before
            lost += 1
        return pids(app)[1] != before[1]

    eventually(asked_and_replaced)
    assert lost <= 3
    wait_for_both(app)
    after = pids(app)
    assert after[2] == before[2]
    assert after[1] != before[1]
    assert any(f"status=ended number=1 pid={before[1]} code=-9" in line for line in app.lines)


@needs_workers
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_supervisor_leaves_no_process(run_app, number):
    app = run_app("--source", "none", "--workers", "2")
    with visitors(app, 2) as several:
        assert {visitor.worker for visitor in several} == {1, 2}
        workers = list(pids(app).values())
        app.process.send_signal(number)
        code = app.process.wait(120)
    assert code == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    wait_until_gone(workers)


@needs_workers
def test_the_end_comes_while_workers_still_start(run_app):
    app = run_app("--source", "none", "--workers", "3")
    app.stop()
    assert app.process.returncode == 0
    wait_until_gone(list(pids(app).values()))


@needs_workers
def test_a_joke_told_by_one_worker_is_counted_once_by_another(run_app, tmp_path):
    app = run_app("--source", "none", "--workers", "2", "--board", tmp_path / "board.sqlite3")
    with visitors(app, 2) as (here, there):
        assert {here.worker, there.worker} == {1, 2}
        joke = here.get("/api/v1/jokes/random")
        reaction = {"joke": {"id": joke["id"], "source": joke["source"]}, "before": 0.1, "peak": 0.8, "seconds": 2.5}
        # What one worker told, the others know a moment later.
        eventually(lambda: there.post("/api/v1/reactions", reaction | {"agreed": True}) == 204, "the joke is known")
        for visitor in (here, there):
            assert visitor.post("/api/v1/reactions", reaction | {"agreed": True}) == 409
            (counted,) = visitor.get("/api/v1/jokes/board")["jokes"]
            assert (counted["id"], counted["reactions"]) == (joke["id"], 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--workers", "2"), "--source none"),
        (("--workers", "2", "--source", "0"), "--source none"),
        (("--workers", "0", "--source", "none"), "from 1 to 64"),
        (("--workers", "2", "--source", "none", "--board", "mysql://x"), "--board must be"),
        (("--trusted-proxies", "-1"), "from 0 to 10"),
    ],
)
def test_what_can_not_be_is_said_in_one_sentence(options, sentence):
    done = subprocess.run(
        [sys.executable, "app.py", "--port", "0", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environment(),
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_settings_reach_a_worker_whole(tmp_path):
    for settings in (
        Settings(),
        Settings(source="none", workers=3, joke_url="", loop=False, landmarks=True, model=tmp_path / "a b.tflite"),
        Settings(detector_model=tmp_path / "x.onnx", board="postgresql://me:pass word@db/x", allow_host="a, b"),
    ):
        assert parse_settings([], settings.as_environment()) == settings


@needs_workers
@pytest.mark.parametrize(("code", "returned"), [(worker_processes.UNUSABLE_SETTINGS, 2), (1, None)])
def test_workers_that_end_at_once_are_not_started_for_ever(monkeypatch, tmp_path, code, returned):
    starts = tmp_path / "starts"
    monkeypatch.setattr(worker_processes, "_START", f"open({str(starts)!r}, 'a').write('x'); raise SystemExit({code})")
    monkeypatch.setattr(worker_processes, "_PAUSES_S", (0.05,))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        workers = WorkerProcesses(Settings(source="none", workers=2), listener, most_connections=10)
        if returned is not None:
            assert workers.run() == returned
        else:
            with pytest.raises(ProcessesError, match="the log says why"):
                workers.run()
            assert 5 <= len(starts.read_text()) <= 6
