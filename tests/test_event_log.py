"""What is logged: one line an event, no flood, no password, and no harm when it can't be written."""

import json
import logging
import os
import sys

import pytest

from common.errors import SettingsError
from common.event_log import LineFormatter, RepeatFilter, log_event, native_libraries_silenced, set_up_logging, write_line
from common.settings import Settings, parse_settings


class Lines(logging.Handler):
    """What would be written, as a list; `clock` is set by hand."""

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self.clock = 0.0
        self.lines: list[str] = []
        self.setFormatter(LineFormatter(as_json=as_json))
        self.addFilter(RepeatFilter(clock=lambda: self.clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines():
    handlers = []
    log = logging.getLogger("smile")
    level = log.level

    def attach(**options) -> Lines:
        handlers.append(Lines(**options))
        log.addHandler(handlers[-1])
        log.setLevel(logging.INFO)
        return handlers[-1]

    yield attach
    for handler in handlers:
        log.removeHandler(handler)
    log.setLevel(level)


def test_an_event_is_one_line_of_pairs(lines):
    log = lines()
    log_event("camera", status="lost", message='Camera 0 said "no"\nand = went.', tries=3, known=True, name="")
    (line,) = log.lines
    time, rest = line.split(" ", 1)
    assert time.startswith("time=20")
    assert time.endswith("Z")
    expected = r'level=info event=camera status=lost message="Camera 0 said \"no\"\nand = went." tries=3 known=true name=""'
    assert rest == expected


def test_an_event_is_one_json_object(lines):
    log = lines(as_json=True)
    log_event("camera", level=logging.WARNING, status="lost", message="Größe\n\u2028geändert", tries=3)
    (line,) = log.lines
    assert line.isascii()
    found = json.loads(line)
    assert found.pop("time")
    assert found == {
        "level": "warning",
        "event": "camera",
        "status": "lost",
        "message": "Größe\n\u2028geändert",
        "tries": 3,
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_one_line_with_its_place_and_no_traceback(lines, as_json):
    log = lines(as_json=as_json)
    try:
        raise ValueError("rtsp://me:secret@camera/live is\nbad")
    except ValueError as error:
        log_event("problem", level=logging.ERROR, error=error, message="It failed.")
        logging.getLogger("smile").exception("said by a module that knows only %s", "logging")
    assert len(log.lines) == 2
    for line in log.lines:
        assert len(line.splitlines()) == 1
        assert "ValueError: rtsp://camera is" in line
        assert "test_event_log.py:" in line
        assert "secret" not in line
        assert "Traceback" not in line
    assert "said by a module that knows only logging" in log.lines[1]


@pytest.mark.parametrize("secret", ["rtsp://me:hidden@10.0.0.7/live", "http://10.0.0.7/?user=me&password=hidden"])
@pytest.mark.parametrize("as_json", [False, True])
def test_no_password_is_written(lines, secret, as_json):
    log = lines(as_json=as_json)
    log_event("camera", message=f"could not open {secret}; try again", source=secret)
    assert "hidden" not in log.lines[0]
    assert "10.0.0.7" in log.lines[0]


def test_a_problem_thirty_times_a_second_is_a_line_a_minute_with_a_count(lines):
    log = lines()
    for frame in range(30 * 90):
        log.clock = frame / 30
        try:
            raise ValueError(f"frame {frame}")
        except ValueError as error:
            log_event("problem", level=logging.ERROR, error=error, message="It failed.")
    assert len(log.lines) == 2
    assert "repeated" not in log.lines[0]
    assert log.lines[1].endswith("repeated=1799")


def test_another_problem_is_said_at_once(lines):
    log = lines()
    for message in ("It failed.", "It failed.", "Something else failed."):
        log_event("problem", level=logging.WARNING, message=message)
    assert [line.rpartition("message=")[2] for line in log.lines] == ['"It failed."', '"Something else failed."']


def test_a_long_value_is_cut(lines):
    log = lines()
    log_event("problem", message="x" * 100_000)
    assert len(log.lines[0]) < 1000


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_no_error():
    with open("/dev/full", "w") as full:
        write_line(full, "lost")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't tell whether a pipe has room")
def test_a_pipe_that_nobody_reads_holds_nobody_up():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as writer:
        for _ in range(2000):
            write_line(writer, "x" * 500)  # 1 MB, of which a pipe takes 64 kB
        assert reader.read(1001) == b"x" * 500 + b"\n" + b"x" * 500
    write_line(writer, "after its end")
    write_line(None, "without a stream")


def test_set_up_takes_over_everything_that_is_logged(capfd, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    set_up_logging("json")
    with native_libraries_silenced():
        os.write(2, b"INFO: a library greets\n")
        logging.getLogger("somebody.else").warning("said %d times", 3)
    os.write(2, b"{}\n")
    first, second = map(json.loads, capfd.readouterr().err.splitlines())
    root.handlers[0].close()
    found = first | second
    assert (found["level"], found["logger"], found["message"]) == ("warning", "somebody.else", "said 3 times")


def test_the_format_is_an_option():
    assert Settings().log_format == "text"
    assert parse_settings(["--log-format", "json"], {}).log_format == "json"
    assert parse_settings([], {"SMILE_LOG_FORMAT": "json"}).log_format == "json"
    with pytest.raises(SettingsError, match="--log-format must be text or json, not xml"):
        parse_settings([], {"SMILE_LOG_FORMAT": "xml"})


def test_the_real_app_logs_json_lines_only(run_app, network_camera):
    _, url = network_camera
    app = run_app("--source", url.replace("http://", "http://me:secret@") + "?key=secret", "--log-format", "json")
    app.wait_for(lambda event: event["frame"] > 0)
    app.stop()
    events = [json.loads(line) for line in app.lines]
    assert "secret" not in "".join(app.lines)
    assert events.pop(0)["event"] == "password", "it stands on the command line"
    assert events[0]["event"] == "started"
    assert events[0]["address"] == app.url
    assert events[0]["source"] == url.removesuffix("/stream")
    assert [event["status"] for event in events if event["event"] == "camera"][:2] == ["opening", "live"]
    assert events[-1]["event"] == "stopped"
    assert len(events) < 10, "a line an event, not a line a frame"


def test_the_real_app_greets_a_person_in_words(run_app):
    app = run_app("--source", "none")
    app.wait_for(lambda event: bool(event["message"]))
    app.stop()
    assert app.lines[0] == f"Smile at {app.url}  (Ctrl-C ends it)"
    assert f" level=info event=started address={app.url} source=none public=false" in app.lines[1]
    assert " event=camera status=none " in app.lines[2]
    assert " event=stopped " in app.lines[-1]
