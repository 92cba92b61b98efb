"""The end comes whatever hangs then."""

import os
import re
import signal
import time


def test_a_worker_that_is_stopped_ends_in_order_with_the_others(run_app):
    app = run_app("--source", "none", "--workers", "2")
    deadline = time.monotonic() + 60
    while len(pids := [int(found) for line in app.lines for found in re.findall(r"status=started .*pid=(\d+)", line)]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    app.get("/healthz")
    os.kill(pids[0], signal.SIGSTOP)
    app.stop()
    assert app.process.returncode == 0
    assert not any("killed" in line for line in app.lines)
