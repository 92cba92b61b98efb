"""The hostile benchmark: one short run prints every figure. No figure is held to anything."""

import subprocess
import sys

import pytest

from benchmarks import hostile
from benchmarks.attacks import ATTACKS
from tests.project import ROOT, clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_short_run_prints_every_figure(face_video):
    command = [sys.executable, "-m", "benchmarks.hostile", "--seconds", "1", "--source", str(face_video)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, env=clean_environment())
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert done.stderr == ""
    for title in hostile.TITLES.values():
        assert f"\n{title}\n" in done.stdout
    for name in ("pictures a second, in the worst second", "memory at most", "a newcomer's page, at most"):
        assert done.stdout.count(name) == 1 + len(hostile.TITLES)
    assert "from SIGTERM to the end" in done.stdout
    assert " inf s" not in done.stdout, "every newcomer got the page"
    assert set(hostile.TITLES) == set(ATTACKS)


def test_what_can_not_be_run_is_said_in_one_sentence(capsys):
    for options, sentence in ((["--seconds", "0"], "--seconds must be"), (["--source", "nothing.mp4"], "check --source")):
        assert hostile.main(options) == 2
        said = capsys.readouterr()
        assert sentence in said.err
        assert said.out == ""
