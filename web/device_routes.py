"""The files with which a visitor's own browser reads pictures, LiteRT's runtime and two networks: `/device.json /device/...`

`make browser` puts the runtime into build/browser/. Without it `device.json` lists nothing, and pages ask the app.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, abort, jsonify, request, send_file

from common.places import BROWSER_RUNTIME, DEFAULT_FINDER

WORKER = "reading/worker.js"  # below /static/
ENGINES = ("litert_wasm_internal", "litert_wasm_compat_internal")
_RUNTIME = ("litert.js", *(f"{name}.{end}" for name in ENGINES for end in ("js", "wasm")))
_KINDS = {".js": "text/javascript", ".wasm": "application/wasm", ".tflite": "application/octet-stream"}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))  # the best first
_FOR_GOOD_S = 365 * 24 * 3600


class DeviceFiles:
    """The files by name. Their addresses hold a hash of what is in them, so browsers keep them for good."""

    def __init__(self, smile: Path, runtime: Path = BROWSER_RUNTIME) -> None:
        """`smile`: the network that the app itself reads smiles with."""
        self.runtime = runtime
        self.paths = {name: runtime / name for name in _RUNTIME}
        self.paths |= {"smile.tflite": smile, "finder.tflite": DEFAULT_FINDER}

    @property
    def complete(self) -> bool:
        return all(path.is_file() for path in self.paths.values())

    def addresses(self) -> dict[str, str]:
        """Below the app's own address; empty if any file is missing."""
        return {name: f"device/{content_hash(path)}/{name}" for name, path in self.paths.items()} if self.complete else {}

    def compressed(self, name: str) -> dict[str, Path]:
        """Copies of the file by their encoding, the smallest first."""
        copies = {encoding: self.runtime / f"{content_hash(self.paths[name])}{end}" for encoding, end in _ENCODINGS}
        return {encoding: path for encoding, path in copies.items() if path.is_file()}


def device_routes(files: DeviceFiles) -> Blueprint:
    """The routes."""
    device = Blueprint("device", __name__)

    @device.get("/device.json")
    def listed() -> Response:
        response = jsonify({"files": files.addresses()} if files.complete else {})
        response.headers["Cache-Control"] = "no-cache"
        return response

    @device.get("/device/<digest>/<name>")
    def served(digest: str, name: str) -> Response:
        if files.addresses().get(name) != f"device/{digest}/{name}":
            abort(404)
        copies = files.compressed(name)
        encoding = next((one for one in copies if request.accept_encodings.quality(one) > 0), None)
        path = copies[encoding] if encoding else files.paths[name]
        response = send_file(path, mimetype=_KINDS[Path(name).suffix], max_age=_FOR_GOOD_S, etag=False, conditional=False)
        response.headers["Cache-Control"] = f"public, max-age={_FOR_GOOD_S}, immutable"
        response.headers["Vary"] = "Accept-Encoding"
        if encoding:
            response.headers["Content-Encoding"] = encoding
        return response

    return device


def content_hash(path: Path) -> str:
    """20 hex digits that change when what is in the file does."""
    state = path.stat()
    return _hash_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _hash_of(path: Path, mtime_ns: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]
