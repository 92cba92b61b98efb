"""The end comes whatever hangs then."""

import os
import re
import signal

from tests.waiting import eventually


def test_a_worker_that_is_stopped_ends_in_order_with_the_others(run_app):
    app = run_app("--source", "none", "--workers", "2")

    def workers() -> list[str]:
        return re.findall(r"status=started .*pid=(\d+)", "\n".join(app.lines))

    eventually(lambda: len(workers()) == 2, "both workers are there")
    app.get("/healthz")
    os.kill(int(workers()[0]), signal.SIGSTOP)
    app.stop()
    assert app.process.returncode == 0
    assert not any("killed" in line for line in app.lines)
