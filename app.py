"""Dad Jokes for Smiles: the web app.

python app.py                          # the page on http://127.0.0.1:5000, with this computer's camera
python app.py --source video.mp4       # a file, picture or rtsp/http stream instead
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from common.errors import SmileError
from common.event_log import log_event, set_up_logging
from common.judged import read_judged
from common.process_end import end_now
from common.settings import Settings, parse_settings, visible_passwords

if TYPE_CHECKING:
    from flask import Flask


def create_app(settings: Settings | None = None) -> Flask:
    """The app for a WSGI server of your own; `web.application.close_app` ends it."""
    from web.application import create_app  # after `main` has told OpenCV what to write

    return create_app(settings)


def main(argv: list[str] | None = None) -> int:
    """Start the app. Exit code 0 after Ctrl-C or SIGTERM, 2 when an option can't be used or the port is taken."""
    # FFmpeg, inside OpenCV, writes to the terminal what the page says in words.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV itself does so too, also about broken pictures. Whoever sent one gets a sentence from the app.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
    # macOS: OpenCV may ask for the camera on the main thread only. If it doesn't, the system asks by itself.
    os.environ.setdefault("OPENCV_AVFOUNDATION_SKIP_AUTH", "1")
    # Windows: without this some webcams take half a minute to open.
    os.environ.setdefault("OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS", "0")
    try:
        settings = parse_settings(argv)
        set_up_logging(settings.log_format)
        for option in visible_passwords(argv):
            sentence = f"Everybody on this computer can read this password; put the address in a file: {option} @FILE."
            log_event("password", level=logging.WARNING, message=sentence)
        if settings.jokes:
            from jokes.own_file import read_jokes

            read_jokes(settings.jokes)  # said here once, and not by each process that reads it
        judged = read_judged(settings.model)
        if judged and judged.problem():
            log_event("network", level=logging.WARNING, message=f"{settings.model}: {judged.problem()}")
        from serving.server import serve

        return serve(settings)
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    end_now(main())
