"""What a browser keeps so that the page works without a network. `/sw.js /api/v1/jokes/own`

The service worker's script begins with the list of what it keeps, and with a version that changes when any of it does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, request

from common.places import ROOT
from jokes.joke import Joke
from web.device_routes import ENGINES, DeviceFiles, content_hash

WORKER = "offline/worker.js"  # below static/
OWN_JOKES = "api/v1/jokes/own"


def offline_routes(files: DeviceFiles, own: Callable[[], Sequence[Joke]], page: str) -> Blueprint:
    """The routes. Without the runtime the worker keeps nothing and ends.

    `own`: the app's own jokes. `page`: whatever the page depends on besides its templates.
    """
    offline = Blueprint("offline", __name__)

    @offline.get("/sw.js")
    def worker() -> Response:
        static, kept, version = Path(current_app.static_folder or ""), [], ""
        if files.complete:
            device = _device(files, request.args.get("engine", ""))
            ours = [f"static/{name}" for name in _below(static) if name != WORKER]
            kept = ["", "play", "device.json", OWN_JOKES, *device, *ours]
            version = _version(static, page, _told(own()), *device)
        begin = f"const KEPT = {json.dumps({'version': version, 'files': kept})};\n"
        response = Response(begin + (static / WORKER).read_text(encoding="utf-8"), mimetype="text/javascript")
        response.headers["Cache-Control"] = "no-cache"
        return response

    @offline.get(f"/{OWN_JOKES}")
    def own_jokes() -> Response:
        response = jsonify(jokes=[asdict(joke) for joke in own()])
        response.headers["Cache-Control"] = "no-cache"
        return response

    return offline


def _device(files: DeviceFiles, engine: str) -> list[str]:
    """Networks and runtime with one of its engines; nothing for a browser that can use none."""
    if engine not in ENGINES:
        return []
    others = tuple(f"{other}." for other in ENGINES if other != engine)
    return [address for name, address in files.addresses().items() if not name.startswith(others)]


def _version(static: Path, *more: str) -> str:
    digest = hashlib.sha256()
    for folder in (static, ROOT / "templates"):
        for name in _below(folder):
            digest.update(f"{name} {content_hash(folder / name)}\n".encode())
    for part in more:
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:20]


def _below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file())


def _told(jokes: Sequence[Joke]) -> str:
    return json.dumps([asdict(joke) for joke in jokes])
