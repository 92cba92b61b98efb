"""Keep what TensorFlow says to its makers off a command's screen: CUDA that is not there, how to build it anew, retracing.

@tensorflow_quiet()
def main() -> int: ...

TENSORFLOW_LOG=1 python -m training.train       # shows it all, if a training fails in a way that nothing explains
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from common.native_output import native_output_dropped

SHOWN = "TENSORFLOW_LOG"


@contextmanager
def tensorflow_quiet() -> Iterator[None]:
    """Most of it is written by native code before TensorFlow's own log begins, where TF_CPP_MIN_LOG_LEVEL has no say."""
    if os.environ.get(SHOWN, "0") not in ("", "0"):
        yield
        return
    import absl.logging  # sets up its logger, which would forget the level otherwise

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logger = logging.getLogger("tensorflow")
    level, verbosity = logger.level, absl.logging.get_verbosity()
    logger.setLevel(logging.ERROR)
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        with native_output_dropped():
            yield
    finally:
        absl.logging.set_verbosity(verbosity)
        logger.setLevel(level)
