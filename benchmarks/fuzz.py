"""Send the app thousands of inputs that it does not expect, and check every answer against the app's own description.

    python -m benchmarks.fuzz --inputs 10000
    python -m benchmarks.fuzz --inputs 500 --seed 7 --keep failures/

There are two sources: right and wrong requests that Schemathesis makes from `/api/openapi.json`, and the pictures, forms and
reactions of `benchmarks.actors.broken_pictures`. Exit code 1 if an answer has a status of 500 or more other than 503,
differs from the description, or does not come; if memory grows; or if the app is not well at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from benchmarks.actors import broken_forms, broken_pictures
from benchmarks.actors.running_app import AppProcess
from benchmarks.reporting.command import said_plainly
from benchmarks.stages.fuzz_findings import ANALYZE, DESCRIBED, KEPT, REACTIONS, Answer, Description, Findings, Sent
from common.errors import BenchmarkError

LIVE = ["/video_feed", "/events", "/snapshot.jpg"]  # they take no input, and two of them have no end to wait for
_BATCH = 250
_MOST_LARGE = 8  # pictures with as many pixels as are allowed, sent first: what they need does not count as growth
_GROWTH_MB = 1.0  # for each of the server's threads, which keep some of what they used; one thread alone does not grow
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Source:
    """A strategy for requests, or for values that `as_sent` turns into requests."""

    name: str
    strategy: st.SearchStrategy[Any]
    as_sent: Callable[[Any], Sent]


def picture_sources() -> list[Source]:
    """Pictures as bodies and in forms, whole and broken, and reactions."""

    def to(path: str) -> Callable[[broken_forms.Body], Sent]:
        return lambda body: Sent("POST", path, {"Content-Type": body.content_type} if body.content_type else {}, body.data)

    return [
        Source("pictures", broken_forms.bodies(), to(ANALYZE)),
        Source("forms", broken_forms.forms(), to(ANALYZE)),
        Source("broken forms", broken_forms.broken_forms(), to(ANALYZE)),
        Source("reactions", broken_forms.reactions(), to(REACTIONS)),
    ]


def described_sources(described: dict[str, Any], base_url: str) -> list[Source]:
    """Requests that Schemathesis makes from the description, some right, some wrong. It is read once."""
    import requests
    import schemathesis

    schema = schemathesis.openapi.from_dict(described).exclude(path=LIVE)

    def as_sent(case: Any) -> Sent:
        given = case.as_transport_kwargs(base_url=base_url)
        given = {
            name: given[name] for name in ("method", "url", "headers", "params", "data", "json", "files") if name in given
        }
        request = requests.Request(**given).prepare()
        body = request.body or b""
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in ("content-length", "cookie")
        }
        return Sent(request.method or "", request.path_url, headers, body.encode() if isinstance(body, str) else body)

    sources = []
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        modes = list(schemathesis.GenerationMode) if operation.method == "post" else [schemathesis.GenerationMode.POSITIVE]
        sources += [Source(f"{operation.label} {mode.value}", operation.as_strategy(mode), as_sent) for mode in modes]
    return sources


def draw(source: Source, count: int, seed: int, use: Callable[[Sent], object]) -> int:
    """Calls `use` with up to `count` requests of `source`. Returns how many; fewer if there are not as many to make."""
    made = 0

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(source.strategy)
    def each(value: Any) -> None:
        nonlocal made
        if made < count:
            made += 1
            use(source.as_sent(value))

    each()
    return made


def fuzz(
    findings: Findings, sources: list[Source], count: int, seed: int, *, on_batch: Callable[[], None] = lambda: None
) -> None:
    """Sends `count` inputs in all, as many from each source as it can make."""
    aim = findings.inputs + count
    rest = list(sources)
    while rest and findings.inputs < aim:
        for source in list(rest):
            wanted = min(_BATCH, -(-count // len(rest)), aim - findings.inputs)
            if wanted <= 0:
                break
            if draw(source, wanted, seed, findings.look) < wanted // 2:
                rest.remove(source)
            on_batch()
        seed += 1


class Connection:
    """Sends to a server, over one connection as long as it holds."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)

    def __call__(self, sent: Sent) -> Answer:
        for attempt in range(2):
            try:
                self._connection.request(sent.method, sent.path, sent.body, dict(sent.headers))
                response = self._connection.getresponse()
                body = response.read()
                return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if attempt or isinstance(error, TimeoutError):
                    break  # but not on a connection that the server had closed meanwhile
        return Answer(0, {}, b"")

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class _Memory:
    """The app's memory after a small picture, after large ones, and at the end."""

    small_mb: float
    large_mb: float
    threads: int
    after_mb: float = 0.0


@said_plainly
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description="Inputs that the app does not expect.")
    parser.add_argument("--inputs", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the bodies that got a wrong answer there")
    options = parser.parse_args(argv)
    if options.inputs < 1:
        print("--inputs must be at least 1.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        return _run(options.inputs, options.seed, options.keep, Path(folder) / "board.sqlite3")


def _run(inputs: int, seed: int, keep: Path | None, board: Path) -> int:
    began = time.monotonic()
    with AppProcess(Path("none"), "--visitor-rate", "0", "--board", str(board)) as app:
        connection = Connection("127.0.0.1", app.port)
        described = json.loads(app.get("/api/openapi.json"))
        findings = Findings(Description(described), connection)
        picture = broken_pictures.encoded("JPEG", "RGB", 96, 96, None, "plain")
        if findings.look(Sent("POST", ANALYZE, {"Content-Type": "image/jpeg"}, picture)):  # loads the network
            raise BenchmarkError(f"The app can't analyse a picture: {findings.complaints[0][2].body.decode()}")
        small_mb = app.memory_mb()
        for _ in range(min(_MOST_LARGE, inputs // 100)):
            findings.look(Sent("POST", ANALYZE, {"Content-Type": "image/jpeg"}, broken_pictures.declared_jpeg(5000, 4999)))
        memory = _Memory(small_mb, app.memory_mb(), app.threads())

        def on_batch() -> None:
            print(f"\r{findings.inputs} sent", end="", file=sys.stderr, flush=True)

        from_description = round(DESCRIBED * inputs)
        rest = inputs - findings.inputs - from_description
        print(f"{inputs} inputs, seed {seed}: pictures, forms and reactions, then requests made from the description ...")
        fuzz(findings, picture_sources(), rest, seed, on_batch=on_batch)
        fuzz(findings, described_sources(described, app.url), inputs - findings.inputs, seed, on_batch=on_batch)
        connection.close()
        print(file=sys.stderr)
        healthy = app.health()["status"] == "ok"
        memory = replace(memory, after_mb=app.memory_mb())
        return _report(findings, memory, healthy, time.monotonic() - began, keep)


def _report(findings: Findings, memory: _Memory, healthy: bool, seconds: float, keep: Path | None) -> int:
    print()
    for status, count in sorted(findings.statuses.items()):
        print(f"{count:7d}  {status}")
    by_status: Counter[str] = Counter()
    for name, count in findings.statuses.items():
        by_status[name.rpartition(" ")[2]] += count
    print()
    print(f"{findings.inputs} inputs in {seconds:.0f} s; the slowest answer took {findings.slowest_s:.1f} s.")
    print("By status: " + ", ".join(f"{status}: {count}" for status, count in sorted(by_status.items())))
    grown = memory.after_mb - memory.large_mb
    bar = _GROWTH_MB * memory.threads
    print(
        f"Memory: {memory.small_mb:.0f} MB after one small picture, {memory.large_mb:.0f} MB after some of 25 megapixels, "
        f"{memory.after_mb:.0f} MB after all (bar: {bar:.0f} MB more than that, 1 MB a thread)."
    )
    wrong = Counter(complaint for complaint, _, _ in findings.complaints)
    for complaint, count in wrong.most_common(KEPT):
        print(f"WRONG {count} times: {complaint}")
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for i, (complaint, sent, answer) in enumerate(findings.complaints[:KEPT]):
            (keep / f"{i:02d}.body").write_bytes(sent.body)
            told: dict[str, Any] = {
                "complaint": complaint,
                "method": sent.method,
                "path": sent.path,
                "headers": dict(sent.headers),
            }
            told |= {"status": answer.status, "answer": answer.body.decode("utf-8", "replace")}
            (keep / f"{i:02d}.json").write_text(json.dumps(told, indent=1))
    if not healthy:
        print("WRONG: /healthz is not ok at the end.")
    if grown > bar:
        print(f"WRONG: memory grew by {grown:.0f} MB.")
    failed = bool(wrong) or not healthy or grown > bar
    print("Failed." if failed else "No answer was wrong.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
