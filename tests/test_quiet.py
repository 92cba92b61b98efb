"""What TensorFlow says to its makers stays off a person's screen, and one variable shows it."""

import subprocess
import sys

import pytest

from tests.project import ROOT, clean_environment
from training.quiet import SHOWN

pytestmark = pytest.mark.slow(15)

_CODE = """
import os, sys
from training.quiet import tensorflow_quiet

@tensorflow_quiet()
def main():
    import tensorflow as tf
    from absl import logging
    tf.config.list_physical_devices()
    function = tf.function(lambda x: x)
    for i in range(9):
        function(i)  # "5 out of the last 5 calls to ... triggered tf.function retracing"
    logging.warning("of absl")
    os.write(2, b"of native code\\n")
    print("of the command", file=sys.stderr)

main()
"""


def test_a_command_says_its_own_sentences_alone_and_a_variable_shows_the_rest():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _CODE],
            cwd=ROOT,
            env=clean_environment() | {SHOWN: shown},
            stderr=subprocess.PIPE,
            text=True,
        )
        for shown in ("0", "1")
    ]
    quiet, shown = (run.communicate(timeout=300)[1] for run in runs)
    assert quiet == "of the command\n"
    for text in ("retracing", "of absl", "of native code", "of the command"):
        assert text in shown, shown
