"""Start-up options: command line first, then `SMILE_*` environment variables, then the defaults below."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from common.errors import SettingsError
from common.event_log import LOG_FORMATS
from common.places import DEFAULT_MODEL
from common.version import VERSION

DEFAULT_DETECTOR = "finder"
JOKE_URL = "https://icanhazdadjoke.com/"

_MAY_STAND_IN_FILES = ("source", "board")
_LONGEST_LINE = 2048
_PASSWORD = re.compile(r"[^:/]+://[^/@]*:[^/@]+@")


@dataclass(frozen=True)
class Settings:
    """Everything that can be set when the app starts. `SMILE_PORT=8080` is the same as `--port 8080`."""

    source: str = "auto"
    host: str = "127.0.0.1"
    port: int = 5000
    detector: str = DEFAULT_DETECTOR
    detector_model: Path | None = None
    model: Path = DEFAULT_MODEL
    loop: bool = True
    viewer_limit: int = 50
    max_width: int = 1280
    jpeg_quality: int = 80
    landmarks: bool = False
    joke_url: str = JOKE_URL
    jokes: Path | None = None
    board: str = ""
    allow_host: str = ""
    log_format: str = "text"
    workers: int = 1
    trusted_proxies: int = 0
    visitor_rate: int | None = None

    def __post_init__(self) -> None:
        _check(0 <= self.port <= 65535, f"--port must be a number from 1 to 65535, not {self.port}.")
        _check(1 <= self.viewer_limit <= 500, f"--viewer-limit must be from 1 to 500, not {self.viewer_limit}.")
        _check(64 <= self.max_width <= 7680, f"--max-width must be from 64 to 7680 pixels, not {self.max_width}.")
        _check(1 <= self.jpeg_quality <= 100, f"--jpeg-quality must be from 1 to 100, not {self.jpeg_quality}.")
        _check(bool(self.source), "--source is empty; give a camera number, a file, a URL, auto or none.")
        _check(self.log_format in LOG_FORMATS, f"--log-format must be text or json, not {self.log_format}.")
        _check(1 <= self.workers <= 64, f"--workers must be from 1 to 64, not {self.workers}.")
        _check(
            self.workers == 1 or self.source == "none",
            "Only one process can read a camera; with --workers give --source none too, for visitors' own cameras.",
        )
        _check(0 <= self.trusted_proxies <= 10, f"--trusted-proxies must be from 0 to 10, not {self.trusted_proxies}.")
        rate = self.visitor_rate
        _check(
            rate is None or 0 <= rate <= 100_000, f"--visitor-rate must be from 0 to 100000 pictures a second, not {rate}."
        )

    def as_environment(self) -> dict[str, str]:
        """The `SMILE_*` variables that make `parse_settings` return these settings in another process."""
        values = {f"SMILE_{field.name.upper()}": getattr(self, field.name) for field in fields(self)}
        words = {True: "yes", False: "no"}
        return {
            name: words[value] if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if value is not None
        }


def parse_settings(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line and the environment.

    Raises SettingsError for a value that can't be used; an unknown option ends the process with code 2, as argparse does.
    """
    parser = _parser()
    given = vars(parser.parse_args(argv))
    values: dict[str, object] = {}
    for field in fields(Settings):
        variable = f"SMILE_{field.name.upper()}"
        if given[field.name] is not None:
            values[field.name] = given[field.name]
        elif environ.get(variable) or (variable in environ and field.name == "joke_url"):
            values[field.name] = _convert(field.name, environ[variable], variable)
    for name in _MAY_STAND_IN_FILES:
        if str(values.get(name, "")).startswith("@"):
            values[name] = _read_line(f"--{name}", str(values[name])[1:])
    if "jokes" in values:
        values.setdefault("joke_url", "")  # who brings jokes wants to hear those
    return Settings(**values)  # type: ignore[arg-type]


def visible_passwords(argv: Sequence[str] | None = None) -> list[str]:
    """Options on the command line that hold a password. Everybody on this computer can read them."""
    given = vars(_parser().parse_args(argv))
    return [f"--{name}" for name in _MAY_STAND_IN_FILES if given[name] is not None and _PASSWORD.match(given[name])]


def _read_line(option: str, path: str) -> str:
    """The one line in a file, an address that may hold a password. Raises SettingsError."""
    text = ""
    try:
        with open(path, "rb") as file:
            text = file.read(_LONGEST_LINE + 1).decode().strip()
    except (OSError, ValueError):
        pass
    right = 0 < len(text) <= _LONGEST_LINE and text.isprintable()
    _check(right, f"{option} @{path} must name a readable file that holds one line, the address.")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Dad Jokes for Smiles: open the page, smile at the camera, get dad jokes.",
        epilog="Each option is also an environment variable: SMILE_SOURCE, SMILE_PORT and so on.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--source", help="camera number, file, rtsp/http URL, none or auto; @FILE: read it from that file (default: auto)")
    add("--host", help="address to listen on; 0.0.0.0 lets your network in (default: 127.0.0.1)")
    add("--port", type=int, help="port to listen on (default: 5000)")
    add("--detector", help="face detector: finder, face_recognition, haar or yunet (default: finder)")
    add("--detector-model", type=Path, metavar="FILE", help="network file for yunet, or another one for finder")
    add("--model", type=Path, metavar="FILE", help="smile network (default: models/smile.tflite)")
    add("--loop", action=argparse.BooleanOptionalAction, help="play a video file again and again (default: yes)")
    add("--viewer-limit", type=int, metavar="N", help="people who can watch at once (default: 50)")
    add("--max-width", type=int, metavar="PIXELS", help="larger pictures are scaled down to this width (default: 1280)")
    add("--jpeg-quality", type=int, metavar="1-100", help="quality of the live picture (default: 80)")
    add("--landmarks", action=argparse.BooleanOptionalAction, help="mark eyes, nose and mouth corners (default: no)")
    add("--joke-url", metavar="URL", help=f'joke service; "" tells only the app\'s own jokes (default: {JOKE_URL})')
    add("--jokes", type=Path, metavar="FILE", help="tell the jokes in this file: one a line, or JSON Lines (see the docs)")
    add("--board", metavar="FILE|URL|none", help="where smiles at jokes are counted (default: a file in your data folder)")
    add("--allow-host", metavar="NAMES", help="names that a proxy serves this app under: a.example,b.example")
    add("--log-format", metavar="FORMAT", help="text (key=value) or json, one line an event (default: text)")
    add("--workers", type=int, metavar="N", help="processes for visitors' own cameras; needs --source none (default: 1)")
    add("--trusted-proxies", type=int, metavar="N", help="how many proxies to trust with X-Forwarded headers (default: 0)")
    add("--visitor-rate", type=int, metavar="N", help="pictures a second from one address; 0 for no limit (default: 150)")
    add("--version", action="version", version=f"Dad Jokes for Smiles {VERSION}", help="print the version and end")
    return parser


def _convert(name: str, text: str, variable: str) -> object:
    kind = type(getattr(Settings(), name))
    if name in ("detector_model", "model", "jokes"):
        return Path(text)
    if kind is bool:
        _check(text.lower() in ("0", "1", "no", "yes", "false", "true"), f"{variable} must be yes or no, not {text!r}.")
        return text.lower() in ("1", "yes", "true")
    if kind is int or name == "visitor_rate":
        try:
            return int(text)
        except ValueError as error:
            raise SettingsError(f"{variable} must be a whole number, not {text!r}.") from error
    return text


def _check(right: bool, message: str) -> None:
    if not right:
        raise SettingsError(message)
