"""Broken forms, answers and reactions, made from right ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmarks.actors.broken_pictures import DAMAGES, encoded, pictures
from common.face import Box, Face, as_points
from faces.track import Memory, Track
from faces.tracking import MAX_FACES
from smile_recognition import LANDMARKS
from visitors.carried import MAX_NUMBER, Stream, pack


@dataclass(frozen=True)
class Body:
    """A request's body and its Content-Type."""

    data: bytes
    content_type: str


# As JSON, so that what is put into an answer is new each time.
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
    *(2**31, 2**53, MAX_NUMBER, -(2**63), 10**400, "", "0", "NaN", "\ud800", "\0", "x" * 5000, [], {}, [[]], [None]),
    *({"": {}}, [1, 2], [1e9, -1e9], [1, 2, 3], list(range(2000)), {name: [1, 2] for name in LANDMARKS}),
)
_ODD_VALUES = tuple(map(json.dumps, _ODD))


def answer(faces: int = 1) -> dict[str, Any]:
    """An answer of a stream, as the app gives it."""
    points = {name: [30.0 + 12 * i, 40.0 + 9 * (i % 3)] for i, name in enumerate(LANDMARKS)}
    box = {"top": 10, "right": 80, "bottom": 80, "left": 10}
    known = [
        {"id": i, "box": box, "smile": 0.5, "raw_smile": 0.5, "label": "smile", "landmarks": points}
        for i in range(1, faces + 1)
    ]
    return {"width": 96, "height": 96, "elapsed_ms": 5.0, "faces": known, "state": state(faces)}


def state(faces: int = 1) -> str:
    """What a visitor carries who has sent one picture of 96x96 with so many faces."""
    points = np.array([[30.0 + 12 * i, 40.0 + 9 * (i % 3)] for i in range(5)])
    tracks = []
    for i in range(1, faces + 1):
        face = Face(i, Box(10, 80, 80, 10), 0.5, 0.5, as_points(points))
        track = Track(face, face, seen_at=3.0, tried_at=3.0)
        track.steady(points, 0.0)
        track.smile(0.5, 0.0)
        tracks.append(track)
    return pack(Stream(Memory(tracks, next_id=faces + 1, updated_at=3.0), (96, 96), 3.0, 1_800_000_000.0))


@st.composite
def broken_states(draw: st.DrawFn) -> str:
    """A state with some of its bytes changed, cut off or added."""
    data = bytearray(base64.b64decode(state(draw(st.sampled_from((0, 1, 2, MAX_FACES, MAX_FACES + 1))))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data) - 1))
        new = draw(st.sampled_from((b"\0" * 8, b"\xff" * 8, b"\x7f\xf0" * 4, b"\0\0\xc0\x7f" * 2)) | st.binary(max_size=9))
        data[at : at + len(new)] = new
    cut = draw(st.sampled_from((0, 0, 0, 1, 100, -1)))
    data = data[:-cut] if cut > 0 else data + b"x" * -cut
    return json.dumps({"state": base64.b64encode(bytes(data)).decode()})


@st.composite
def near_answers(draw: st.DrawFn, make: Callable[[int], Any] = answer) -> str:
    """JSON of an answer in which up to three values are something else."""
    whole = json.loads(json.dumps(make(draw(st.sampled_from((0, 1, 2, MAX_FACES, MAX_FACES + 1))))))
    for _ in range(draw(st.integers(0, 3))):
        at = whole
        for _ in range(draw(st.integers(0, 5))):
            keys = sorted(at) if isinstance(at, dict) else range(len(at))
            inner = [key for key in keys if isinstance(at[key], dict | list) and at[key]]
            if not inner:
                break
            at = at[draw(st.sampled_from(inner))]
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        if keys:
            key = draw(st.sampled_from(keys))
            if isinstance(at, dict) and draw(st.booleans()):
                del at[key]
            else:
                at[key] = json.loads(draw(st.sampled_from(_ODD_VALUES)))
    return json.dumps(whole)


def previous_fields() -> st.SearchStrategy[str]:
    """Anything that may come as the field `previous`."""
    deep = st.builds(
        lambda begin, depth: begin * depth, st.sampled_from(("[", '{"faces":', "-", '"', "[{")), st.integers(1, 60_000)
    )
    digits = st.integers(1, 6000).map(lambda count: '{"state": 1' + "0" * count + "}")
    odd = st.sampled_from(_ODD_VALUES)
    usual = st.just("{}")
    return st.one_of(usual, near_answers(), broken_states(), broken_states(), odd, deep, digits, st.text(max_size=50))


@st.composite
def forms(draw: st.DrawFn) -> Body:
    """A form with a picture and an answer before, whole."""
    parts = [_part('name="image"; filename="me.jpg"', draw(pictures()))]
    previous = draw(st.one_of(st.none(), previous_fields(), previous_fields(), previous_fields()))
    if previous is not None:
        parts.append(_part('name="previous"', previous.encode("utf-8", "surrogatepass")))
    return Body(b"".join(parts) + b"--part--\r\n", "multipart/form-data; boundary=part")


@st.composite
def broken_forms(draw: st.DrawFn) -> Body:
    """A form that is damaged, lacks its picture, or holds more than it should."""
    good = _part('name="image"; filename="me.jpg"', encoded("JPEG", "RGB", 64, 64, None, "plain"))
    names = st.sampled_from(
        (
            *('name="image"', 'name="image"; filename=""', 'name="previous"; filename="a.json"', "name=image", ""),
            "filename=x",
            'name="image"; filename="../../etc/passwd"',
            "name*=utf-8''im%61ge; filename=a",
            'name="' + "x" * 3000 + '"',
            "\xff=\xff",
        )
    )
    parts = [good, *(_part(draw(names), draw(st.binary(max_size=100))) for _ in range(draw(st.integers(0, 4))))]
    if draw(st.integers(0, 9)) == 0:
        parts *= 400
    data = b"".join(draw(st.permutations(parts)) if len(parts) < 9 else parts)
    data += draw(st.sampled_from((b"--part--\r\n", b"", b"--part", b"--part--", b"--other--\r\n", b"\r\n" * 50)))
    for _ in range(draw(st.integers(0, 2))):
        data = draw(st.sampled_from(DAMAGES))(data, draw(st.floats(0, 1)), draw(st.integers(0, 2**32 - 1)))
    kinds = (
        "; boundary=part",
        "; boundary=part",
        "; boundary=other",
        "",
        "; boundary=",
        '; boundary="',
        "; boundary=part; charset=no",
    )
    return Body(data, "multipart/form-data" + draw(st.sampled_from(kinds)))


def bodies() -> st.SearchStrategy[Body]:
    """Pictures as bodies, under right and wrong names."""
    kinds = st.sampled_from(
        (
            *("image/jpeg", "image/png", "image/webp", "application/octet-stream", "application/x-www-form-urlencoded"),
            *("application/json", "text/html", "nonsense", "multipart/mixed; boundary=part", ""),
        )
    )
    return st.builds(Body, pictures(), kinds)


def reactions() -> st.SearchStrategy[Body]:
    """Reactions to jokes, most of them with something wrong."""

    def make(_: int) -> dict[str, Any]:
        return {"joke": {"id": "house-1", "source": "house"}, "before": 0.1, "peak": 0.8, "seconds": 2.5, "agreed": True}

    texts = st.one_of(near_answers(make), previous_fields())
    kinds = st.sampled_from(("application/json",) * 5 + ("application/json; charset=utf-16", "text/plain", ""))
    return st.builds(lambda text, kind: Body(text.encode("utf-8", "surrogatepass")[:5000], kind), texts, kinds)


def _part(disposition: str, data: bytes) -> bytes:
    head = f"--part\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode("latin-1") + data + b"\r\n"
