"""A real Firefox for tests, spoken to by its own protocol for automation (Marionette), so that no driver is needed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S, end, eventually

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_PREFS = {
    "marionette.port": 0,  # any free one
    "media.navigator.permission.disabled": True,  # a page that asks for a camera gets one,
    "media.navigator.streams.fake": True,  # which shows a test picture
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "extensions.getAddons.cache.enabled": False,
}


class Firefox:
    """One window. Errors of commands are RuntimeErrors that hold Firefox's words."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._sent = 0
        self._read()  # its greeting
        self.ask("WebDriver:NewSession")

    def ask(self, command: str, **parameters: Any) -> Any:
        self._sent += 1
        message = json.dumps([0, self._sent, command, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(message), message))
        self._stream.flush()
        _, _, error, answer = self._read()
        if error:
            raise RuntimeError(error["message"])
        return answer

    def _read(self) -> Any:
        length = b""
        while (byte := self._stream.read(1)) != b":":
            assert byte, "Firefox has left"
            length += byte
        return json.loads(self._stream.read(int(length)))

    def go(self, url: str) -> None:
        self.ask("WebDriver:Navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        return self.ask("WebDriver:ExecuteScript", script=f"return {expression}", args=[])["value"]

    def until(self, condition: str) -> None:
        eventually(lambda: self.evaluate(condition), condition)

    def click(self, selector: str) -> None:
        """As with a mouse."""
        found = self.ask("WebDriver:FindElement", using="css selector", value=selector)["value"]
        (element,) = found.values()
        self.ask("WebDriver:ElementClick", id=element)

    def press(self, key: str) -> None:
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.ask("WebDriver:PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])


@contextmanager
def running_firefox(profile: Path) -> Iterator[Firefox]:
    """`profile`: an empty folder. Without Firefox on this computer a test must not come here."""
    assert FIREFOX
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFS.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [FIREFOX, "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = profile / "MarionetteActivePort"
        eventually(lambda: port.exists() and port.read_text().strip(), "Firefox opens its port")
        with socket.create_connection(("127.0.0.1", int(port.read_text())), PATIENCE_S) as connection:
            yield Firefox(connection)
    finally:
        end(process)
