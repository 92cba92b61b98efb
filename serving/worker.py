"""One worker process. `worker_processes` starts it with its number and two file descriptors: the listening socket, and the
socket over which connections come. Options come as `SMILE_*` variables.
"""

from __future__ import annotations

import logging
import socket
import sys
from typing import NoReturn

from common.errors import SmileError
from common.event_log import log_event, set_up_logging
from common.process_end import end_now
from common.settings import parse_settings
from serving.server import Share, serve_on
from serving.worker_processes import UNUSABLE_SETTINGS


def main(argv: list[str]) -> int:
    """Serves until SIGTERM, or until the supervisor is gone."""
    number, listener, pair = int(argv[0]), socket.socket(fileno=int(argv[1])), socket.socket(fileno=int(argv[2]))
    with listener, pair:
        try:
            settings = parse_settings([])
            set_up_logging(settings.log_format)
            return serve_on(listener, settings, share=Share(number, pair))
        except SmileError as error:
            print(error, file=sys.stderr)
            return UNUSABLE_SETTINGS
        except Exception as error:
            log_event("worker", level=logging.ERROR, status="failed", number=number, error=error)
            return 1


def run(argv: list[str]) -> NoReturn:
    """Runs the worker and ends the process."""
    end_now(main(argv))
