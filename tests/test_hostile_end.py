"""The end comes whatever hangs then."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from common.settings import Settings
from serving import worker_processes
from serving.dealt_connections import Taker
from serving.worker_processes import WorkerProcesses, _Running
from tests.waiting import PATIENCE_S

_WORKER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="there are no workers on Windows")
def test_a_worker_that_somebody_stopped_ends_in_order(monkeypatch):
    monkeypatch.setattr(worker_processes, "_END_WITHIN_S", PATIENCE_S)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        workers = WorkerProcesses(Settings(source="none", workers=2), listener, most_connections=10)
        ours, theirs = socket.socketpair()
        with theirs, subprocess.Popen([sys.executable, "-c", _WORKER], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            workers._slots[0].running = _Running(process, Taker(ours), time.monotonic())
            process.send_signal(signal.SIGSTOP)
            workers._end_all()
    assert process.returncode == 0, "it was not killed"
