"""What the fuzz sent, what came back, and what was wrong with that."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jsonschema import Draft202012Validator

ANALYZE, REACTIONS = "/api/v1/analyze", "/api/v1/reactions"
DESCRIBED = 0.4  # share of the inputs that Schemathesis makes
KEPT = 20


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came back. `status` 0: nothing."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Send(Protocol):
    """Sends a request and returns the answer."""

    def __call__(self, sent: Sent) -> Answer: ...


class Description:
    """An OpenAPI description by which answers are checked."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.described = described
        self._validators: dict[tuple[str, str, int], Draft202012Validator | None] = {}

    def complaint(self, sent: Sent, answer: Answer) -> str:
        """What is wrong with an answer, in a few words; empty if nothing is."""
        if answer.status == 0:
            return "no answer"
        if answer.status >= 500 and answer.status != 503:
            return f"status {answer.status}"
        path = sent.path.partition("?")[0]
        operation = self.described["paths"].get(path, {}).get(sent.method.lower())
        if operation is None:
            return f"{sent.method} {path} is not described"
        response = self._resolved(operation["responses"].get(str(answer.status)))
        if response is None:
            return f"status {answer.status} is not described"
        for name, header in response.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            schema = self._resolved(header)["schema"]
            if value is None or not Draft202012Validator(schema).is_valid(_number(value)):
                return f"header {name} is {value!r}"
        return self._wrong_body(sent.method, path, response, answer)

    def _wrong_body(self, method: str, path: str, response: dict[str, Any], answer: Answer) -> str:
        content = response.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if not content:
            return f"a body of {len(answer.body)} bytes where none is described" if answer.body else ""
        if kind not in content:
            return f"Content-Type {kind!r}"
        if kind != "application/json":
            return ""
        key = (method, path, answer.status)
        if key not in self._validators:
            schema = content[kind]["schema"] | {"components": self.described["components"]}
            self._validators[key] = Draft202012Validator(schema)
        try:
            value = json.loads(answer.body, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            return "not JSON"
        error = next(self._validators[key].iter_errors(value), None)  # type: ignore[union-attr]
        return f"{error.json_path}: {error.message[:200]}" if error else ""

    def _resolved(self, part: Any) -> Any:
        while isinstance(part, dict) and "$ref" in part:
            at: Any = self.described
            for name in part["$ref"].removeprefix("#/").split("/"):
                at = at[name]
            part = at
        return part


def _number(text: str) -> Any:
    return int(text) if text.isdecimal() else text


@dataclass
class Findings:
    """What was sent, and the outcome."""

    description: Description
    send: Send
    statuses: Counter[str] = field(default_factory=Counter)
    complaints: list[tuple[str, Sent, Answer]] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def inputs(self) -> int:
        return self.statuses.total()

    def look(self, sent: Sent) -> str:
        """Sends a request and notes the answer. Returns what is wrong with it; empty if nothing is."""
        began = time.perf_counter()
        answer = self.send(sent)
        self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
        self.statuses[f"{sent.method} {sent.path.partition('?')[0]} {answer.status}"] += 1
        complaint = self.description.complaint(sent, answer)
        if complaint:
            self.complaints.append((complaint, sent, answer))
        return complaint
