"""Native libraries write to standard error what a picture tells them to; the log and the terminal see none of it."""

import logging
import os
import random
import struct
import subprocess
import sys
import urllib.error
import urllib.request
import zlib

import pytest

from common.event_log import LineFormatter
from common.native_output import native_output_dropped, native_output_logged
from tests.project import ROOT, clean_environment
from tests.waiting import eventually

FORGED = b"\ntime=2026-01-01 level=info event=stopped\n\x1b[2J"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_whose_profile_is_named(name: bytes) -> bytes:
    profile = zlib.compress(struct.pack(">I", 400) + random.Random(1).randbytes(396))
    rows = zlib.compress(b"".join(b"\0" + bytes(64) for _ in range(64)))
    head = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"iCCP", name + b"\0\0" + profile), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.fixture
def lines():
    class Lines(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    written: list[str] = []
    handler = Lines()
    handler.setFormatter(LineFormatter())
    log = logging.getLogger("smile")
    log.addHandler(handler)
    yield written
    log.removeHandler(handler)


def test_libpng_writes_to_standard_error_what_a_picture_tells_it():
    """Or the other tests prove nothing."""
    code = "import sys, cv2, numpy; cv2.imdecode(numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8), 1)"
    data = png_whose_profile_is_named(FORGED)
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, timeout=120)
    assert FORGED in done.stderr


def test_what_is_written_becomes_one_event_a_minute_that_forges_nothing(lines, capfd):
    now = [0.0]
    with native_output_logged(clock=lambda: now[0]):
        for number in range(200):
            os.write(2, b"%d" % number + FORGED + b"x" * 200)
        now[0] = 61.0
        os.write(2, b"a minute later\n")
    eventually(lambda: lines)
    assert len(lines) <= 3
    assert all("event=native_output" in line and line.isprintable() and len(line) < 1000 for line in lines)
    assert "\\x1b[2J" in lines[0]
    assert capfd.readouterr().err == ""


def test_who_writes_faster_than_is_read_never_waits(lines):
    with native_output_logged():
        written = 0
        while written < 1 << 20:
            try:
                written += os.write(2, b"x" * 4096)
            except BlockingIOError:
                break
    eventually(lambda: lines)


def test_afterwards_standard_error_is_what_it_was(capfd):
    with native_output_dropped():
        os.write(2, FORGED)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_the_apps_standard_error_holds_its_own_lines_only(run_app):
    app = run_app("--source", "none")
    for number in range(20):
        data = png_whose_profile_is_named(b"%d" % number + FORGED)
        with urllib.request.urlopen(urllib.request.Request(app.url + "/api/v1/analyze", data), timeout=120) as response:
            assert response.status == 200
    app.stop()
    assert all(line.isprintable() for line in app.lines)
    events = [line.split()[2] for line in app.lines if line.startswith("time=")]
    assert events.count("event=native_output") in (1, 2)
    assert events.count("event=stopped") == 1


def test_a_folders_pictures_say_nothing_on_the_terminal(tmp_path):
    (tmp_path / "evil.png").write_bytes(png_whose_profile_is_named(FORGED))
    command = [
        sys.executable,
        "inference.py",
        str(tmp_path / "evil.png"),
        "--out",
        str(tmp_path / "t.csv"),
        "--detector",
        "haar",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, env=clean_environment())
    assert done.returncode == 0
    assert b"files: 1" in done.stderr
    assert b"\x1b" not in done.stderr
    assert done.stderr.count(b"\n") == 1
