"""What large pictures took is given back, whichever of the server's threads took it."""

import platform
import subprocess
import sys

import pytest

from tests.project import ROOT, clean_environment

# Twelve threads, one after the other, take 60 MB in pieces and give all back but the last; each lives until the end.
PROGRAM = """
import sys, threading
from serving.memory import keep_little_memory
if sys.argv[1] == "keep little":
    assert keep_little_memory()
barrier, last = threading.Barrier(13), []
def work(turn):
    pieces = [bytearray(b"x" * 300_000) for _ in range(200)]
    last.append(bytearray(b"x" * 300_000))
    del pieces
    turn.set()
    barrier.wait(60)
for _ in range(12):
    turn = threading.Event()
    threading.Thread(target=work, args=(turn,)).start()
    assert turn.wait(60)
pages = int(open("/proc/self/statm").read().split()[1])
barrier.wait(60)
print(pages * 4096 // 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps so much")
def test_many_threads_do_not_each_keep_the_memory_of_a_picture():
    def megabytes(how: str) -> int:
        ours = {name: value for name, value in clean_environment().items() if not name.startswith(("MALLOC_", "LD_PRELOAD"))}
        command = [sys.executable, "-c", PROGRAM, how]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=ours)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    usual, little = megabytes("as usual"), megabytes("keep little")
    assert little < 200
    assert usual > 1.5 * little, "or nothing was tested"
