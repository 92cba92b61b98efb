"""Where the pictures of a set come from, as far as `getty_scraper` wrote it down: creator, licence, and near-copies.

    >>> read_origins(Path("images"))["smile/1199241887.jpg"].licence
    'rf'

A set that somebody put together by hand has no manifest; nothing is known of its pictures then.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from common.errors import DatasetError
from scraping.manifest_schema import FILE
from training.data.faces import Faces
from training.data.sources import set_files

_ASKED = """SELECT file, asset_id, near_copy_of, creator, credit, licence, licence_page FROM pictures
    WHERE status = 'fetched' AND set_apart = ''"""


@dataclass(frozen=True)
class Origin:
    """Of one picture. `near_copy_of`: the id of an earlier one that looks nearly the same, or empty."""

    id: str
    near_copy_of: str = ""
    creator: str = ""
    credit: str = ""
    licence: str = ""
    licence_page: str = ""


NO_ORIGIN = Origin("")


def read_origins(path: Path) -> dict[str, Origin]:
    """Of the set `path`, a folder or a zip, by the pictures' names in it. Raises DatasetError for what is damaged."""
    with tempfile.TemporaryDirectory() as copy:  # SQLite would write beside what it reads, and can't read in a zip
        files = dict(_manifest_files(path))
        if FILE not in files:
            return {}
        for name, data in files.items():
            (Path(copy) / name).write_bytes(data)
        try:
            with closing(sqlite3.connect(Path(copy) / FILE)) as connection:
                return {file: Origin(*given) for file, *given in connection.execute(_ASKED)}
        except sqlite3.Error as error:
            raise DatasetError(
                f"{FILE} in {path} can't be read ({error}); let getty_scraper.py end first, or move that file away."
            ) from error


def _manifest_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The manifest, and beside it what a killed run had not put into it yet."""
    for name, read in set_files(path):
        place = PurePosixPath(name)
        if place.name in (FILE, f"{FILE}-wal") and len(place.parts) <= 2:
            yield place.name, read()


def gathered_copies(faces: Faces, origins: Mapping[str, Mapping[str, Origin]]) -> np.ndarray:
    """Index pairs `(m, 2)`, i < j, of faces in pictures that were found to be near-copies while they were gathered.

    `origins`: by set and name. Two copies of a third picture are copies, too, even if that one is in no set.
    """
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in np.flatnonzero(faces.face == 1).tolist():
        source = str(faces.source[row])
        origin = origins.get(source, {}).get(str(faces.name[row]), NO_ORIGIN)
        for identity in {origin.id, origin.near_copy_of} - {""}:
            alike[source, identity].append(row)
    pairs = [pair for rows in alike.values() for pair in pairwise(rows)]
    return np.array(pairs, int).reshape(-1, 2)


def summary(names: list[str], origins: Mapping[str, Origin]) -> dict[str, Any]:
    """What a report says of the pictures `names` of one set: how many have which licence, of how many creators."""
    known = [origins[name] for name in names if name in origins]
    return {
        "known": len(known),
        "unknown": len(names) - len(known),
        "licences": dict(sorted(Counter(origin.licence or "not stated" for origin in known).items())),
        "creators": len({origin.creator for origin in known if origin.creator}),
        "near_copies": sum(bool(origin.near_copy_of) for origin in known),
    }
