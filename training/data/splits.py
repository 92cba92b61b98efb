"""The manifest of a split: which face is on which side, by name. Names may be published even if pictures may not."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

from common.csv_lines import csv_writer
from common.errors import DatasetError
from training.data.faces import SPLITS, Faces


def read_split(path: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """Group and side by `(source, name)`, from an OUT.csv of `training.dataset` or a split.csv.gz. Raises DatasetError."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        table = csv.DictReader(io.StringIO(text))
        rows = {(row["source"], row["name"]): (int(row["group"]), row["split"]) for row in table}
        if not {side for _, side in rows.values()} <= set(SPLITS):
            raise ValueError("a side of another name")
    except (OSError, EOFError, KeyError, ValueError, TypeError, csv.Error, zlib.error) as error:  # TypeError: a cut-off line
        raise DatasetError(f"{path} is not a manifest that `python -m training.dataset` wrote.") from error
    return rows


def save_split(faces: Faces, path: Path) -> None:
    """Writes all faces with group and side, as `.csv.gz`, for `training.dataset --split`. Backgrounds go with their
    photos.
    """
    real = faces.where(faces.face == 1)
    rows = sorted(zip(real.source.tolist(), real.name.tolist(), real.group.tolist(), real.split.tolist(), strict=True))
    text = io.StringIO()
    writer = csv_writer(text)
    writer.writerow(["source", "name", "group", "split"])
    writer.writerows(rows)
    path.write_bytes(
        gzip.compress(text.getvalue().encode(), mtime=0)
    )  # without a time in it, the same split gives the same bytes
