"""The table of `training.out_of_fold`: what networks said about faces that they were not trained on."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import numpy as np

from common.csv_lines import csv_writer
from common.errors import DatasetError
from common.whole_files import write_whole

_COLUMNS = ("source", "name", "fold", "smile")


def write_predictions(path: Path, source: np.ndarray, name: np.ndarray, fold: np.ndarray, smile: np.ndarray) -> None:
    """Writes four arrays `(n,)`. The same numbers always make the same bytes."""
    text = io.StringIO()
    writer = csv_writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(sorted((s, n, int(f), f"{p:.4f}") for s, n, f, p in zip(source, name, fold, smile, strict=True)))
    write_whole(path, gzip.compress(text.getvalue().encode(), mtime=0))


def read_predictions(path: Path) -> dict[tuple[str, str], float]:
    """P(smile) by `(source, name)`. Raises DatasetError."""
    try:
        table = csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode()))
        predictions = {(row["source"], row["name"]): float(row["smile"]) for row in table}
        if not predictions or not all(0 <= smile <= 1 for smile in predictions.values()):
            raise ValueError("not probabilities")
    except (OSError, EOFError, KeyError, TypeError, ValueError, zlib.error, csv.Error) as error:
        raise DatasetError(f"{path} is not a table that `python -m training.out_of_fold` wrote.") from error
    return predictions
