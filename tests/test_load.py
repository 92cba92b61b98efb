"""The load benchmark: visitors who behave as the page does, and one short run. No figure is held to anything."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import load
from benchmarks.actors.page_visitors import Pace, Plan, Seen, _there_and_back, page_rules, visit
from benchmarks.reporting.figures import Report
from common.errors import BenchmarkError
from tests.project import ROOT, clean_environment

pytestmark = pytest.mark.slow

ANSWER = json.dumps(
    {
        "width": 640,
        "height": 480,
        "faces": [{"id": 1, "box": {"top": 20, "left": 40}, "landmarks": {"nose": [60.0, 30.0]}}],
        "state": "carried",
    }
).encode()


def visit_in_a_thread(plan: Plan) -> Seen:
    """`visit` begins an event loop, and Playwright's tests leave one of their own behind in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(visit, plan).result(60)


def test_visitors_go_by_the_pages_own_pace():
    rules = page_rules()
    assert rules.levels[0][0] > rules.levels[-1][0]
    pace = Pace(rules)
    assert (pace.side, pace.every_s) == rules.levels[0]
    for _ in range(rules.slower_after):
        pace.answered(rules.slow_ms + 1)
    assert (pace.side, pace.every_s) == rules.levels[1]
    for _ in range(10):
        pace.busy()
    assert (pace.side, pace.every_s) == rules.levels[-1]
    patience = min(2 ** (len(rules.levels) - 1), rules.most_patience)  # doubled with each step down
    for _ in range(rules.faster_after * patience):
        pace.answered(rules.fast_ms - 1)
    assert (pace.side, pace.every_s) == rules.levels[-2]


def test_a_video_is_played_to_and_fro():
    assert [_there_and_back(i, 3) for i in range(7)] == [0, 1, 2, 1, 0, 1, 2]
    assert _there_and_back(5, 1) == 0


@pytest.fixture
def overloaded():
    """A server that refuses every second picture; what came, and its port."""
    came: list[tuple[bytes, str]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                came.append((body, self.headers["X-Forwarded-For"]))
                refused = len(came) % 2 == 0
            self.send_response(503 if refused else 200)
            if refused:
                self.send_header("Retry-After", "1")
            answer = b"{}" if refused else ANSWER
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield came, server.server_port
    server.shutdown()
    server.server_close()
    thread.join(120)


def test_a_refused_visitor_waits_as_long_as_it_is_told_and_goes_on_where_it_was(overloaded):
    came, port = overloaded
    sides = {side: [b"jpeg %d" % side] for side, _ in page_rules().levels}
    seen = visit_in_a_thread(Plan(port, visitors=1, seconds=6, pictures=sides))
    assert seen.statuses[503] >= 2
    assert seen.statuses.total() == len(came)
    assert seen.statuses[503] <= 7, "a refusal costs a second"
    assert seen.unexplained == seen.broken == 0
    assert seen.with_faces == len(seen.answer_ms) == seen.statuses[200]
    assert b'name="previous"\r\n\r\n{}' in came[0][0]
    assert b'"state": "carried"' in came[1][0], "the answer before goes along"
    assert b'"state": "carried"' in came[2][0], "also after a refusal"
    assert b"jpeg 480" in came[2][0], "and the next picture is smaller"


def test_each_visitor_has_an_address_of_its_own(overloaded):
    came, port = overloaded
    visit_in_a_thread(Plan(port, visitors=5, seconds=4, pictures={640: [b"x"]}, fps=5))
    assert len({address for _, address in came}) == 5


def test_a_short_run_prints_every_figure_and_writes_them_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{load.BEGIN}\nold\n{load.END}\nafter\n")
    command = [sys.executable, "-m", "benchmarks.load", "--visitors", "3", "--fps", "4", "--seconds", "3", "--overload", "4"]
    done = subprocess.run(
        [*command, "--into", str(page)], cwd=ROOT, capture_output=True, text=True, timeout=170, env=clean_environment()
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert done.stderr == ""
    text = page.read_text()
    assert text.startswith(f"before\n{load.BEGIN}\n")
    assert text.endswith(f"{load.END}\nafter\n")
    assert "old" not in text
    assert "`python -m benchmarks.load --visitors 3" in text
    for name in (
        "answer time, p95",
        "answered with 503",
        "growth of memory",
        "processor, the visitors",
        "visitors at process 2",
    ):
        assert name in done.stdout
        assert name in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--visitors", "0"], "--visitors must be from 1"),
        (["--fps", "0"], "--fps must be above 0"),
        (["--source", "nothing.mp4"], "check --source"),
    ],
)
def test_what_can_not_be_run_is_said_in_one_sentence(capsys, options, sentence):
    assert load.main(options) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


def test_a_page_without_markers_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(BenchmarkError, match="has no lines"):
        load.write_into(page, "figures")
    with pytest.raises(BenchmarkError, match="check --into"):
        load.write_into(tmp_path / "missing.md", "figures")
    assert page.read_text() == "nothing\n"


def test_figures_are_judged_by_what_was_asked_for(capsys):
    report = Report()
    report.begin("load", "x")
    plan = Plan(0, visitors=2, seconds=10, pictures={}, fps=10)
    seen = Seen(answer_ms=[10.0] * 90 + [200.0] * 10, fewest=99, seconds=10.0, with_faces=100)
    seen.statuses[200] = 100
    use = load.Use(cpu_s=0.5, memory_mb=[100.0], connections=[1, 1])
    load.measure_load(report, None, lambda app, plan: (seen, use), plan)
    assert [figure.key for figure in report.missed()] == ["load_p95"]
    assert report.value("load_p50") == 10
    assert report.value("load_cpu_each") == 5
    capsys.readouterr()
