"""The numbers that the app and a visitor's own browser share; and the files by which the browser reads pictures."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial

import pytest

from tools import reading_rules
from web import device_routes

FILES = {name: name.encode() * 50 for name in device_routes._RUNTIME}


def get_of(client) -> Callable:
    """`client.get`, with the whole answer read, which closes the file that it comes from."""
    return partial(client.get, buffered=True)


@pytest.fixture
def with_runtime(make_client, monkeypatch, tmp_path):
    """A client of an app beside which `make browser` has run, as far as the app can tell."""
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(device_routes.DeviceFiles.__init__, "__defaults__", (tmp_path,))
    return get_of(make_client())


@pytest.fixture
def without_runtime(make_client, monkeypatch, tmp_path):
    monkeypatch.setattr(device_routes.DeviceFiles.__init__, "__defaults__", (tmp_path / "nothing",))
    return get_of(make_client())


def test_the_browsers_rules_are_those_of_the_app():
    assert reading_rules.RULES.read_text(encoding="utf-8") == reading_rules.text(), "run `python -m tools.reading_rules`"


def test_rules_name_no_number_twice():
    rules = reading_rules.text()
    for block in rules.split("export const ")[1:]:
        names = [line.split(":")[0] for line in block.splitlines()[1:-1]]
        assert len(set(names)) == len(names) > 0, block


def test_a_browser_keeps_each_file_for_good_and_gets_it_anew_when_it_changes(with_runtime, tmp_path):
    before = with_runtime("/device.json").json["files"]
    assert set(before) == {*FILES, "smile.tflite", "finder.tflite"}
    response = with_runtime(f"/{before['litert.js']}")
    assert response.data == FILES["litert.js"]
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["Content-Type"].startswith("text/javascript")
    assert with_runtime("/device.json").headers["Cache-Control"] == "no-cache"
    (tmp_path / "litert.js").write_bytes(b"another version")
    after = with_runtime("/device.json").json["files"]
    assert {name for name in after if after[name] != before[name]} == {"litert.js"}
    assert with_runtime(f"/{before['litert.js']}").status_code == 404, "an old address never gives new content"
    assert with_runtime(f"/{after['litert.js']}").data == b"another version"


def test_compressed_copies_go_to_browsers_that_take_them(with_runtime, tmp_path):
    address = with_runtime("/device.json").json["files"]["litert.js"]
    copy = tmp_path / f"{address.split('/')[1]}.gz"
    copy.write_bytes(gzip.compress(FILES["litert.js"]))
    response = with_runtime(f"/{address}", headers={"Accept-Encoding": "gzip, br"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == FILES["litert.js"]
    assert response.headers["Vary"] == "Accept-Encoding"
    for plain in ("", "gzip;q=0", "identity"):
        assert with_runtime(f"/{address}", headers={"Accept-Encoding": plain}).data == FILES["litert.js"]


def test_webassembly_may_run_in_the_worker_alone_and_only_where_the_runtime_is(with_runtime, without_runtime):
    def policy(get, path: str) -> str:
        return get(path).headers["Content-Security-Policy"]

    worker = f"/static/{device_routes.WORKER}"
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy(with_runtime, worker)
    assert "unsafe" not in policy(without_runtime, worker)
    for path in ("/", "/static/app.js", "/static/reading/reader.js", "/device.json", "/nothing"):
        assert "unsafe" not in policy(with_runtime, path), path
    assert "//" not in policy(with_runtime, worker), "no other host"


def test_without_the_runtime_the_app_says_that_it_reads_pictures_itself(with_runtime, without_runtime):
    assert (with_runtime("/healthz").json["reading"], without_runtime("/healthz").json["reading"]) == (
        "device",
        "app",
    )
    assert json.loads(without_runtime("/device.json").data) == {}
    assert without_runtime("/device/0123/litert.js").status_code == 404
