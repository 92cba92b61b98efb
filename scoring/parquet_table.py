"""Rows to a Parquet file, some thousand at a time. pyarrow is loaded only where it is asked for.

write_parquet(rows, Path("faces.parquet"))     # rows with the columns of `table_writer`
"""

from __future__ import annotations

import errno
import importlib
import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common.errors import SettingsError

ROWS_IN_A_GROUP = 20_000
_TEXTS = {"file", "label", "error"}
_WHOLE_NUMBERS = {"frame", "face", "track", "top", "right", "bottom", "left"}  # all others are float64


def require_pyarrow() -> Any:
    """The package, now rather than after an hour's work. Raises SettingsError when it is missing."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise SettingsError(
            f"A Parquet table needs pyarrow; install it with: {sys.executable} -m pip install -r requirements/scale.txt"
        ) from error


def write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Every row, whose values are text, numbers or None, in groups of `ROWS_IN_A_GROUP`.

    Parquet holds Unicode only: of a file name that is no text, the odd bytes become `\\xe9`. Raises OSError.
    """
    arrow = require_pyarrow()
    parquet = importlib.import_module("pyarrow.parquet")
    rows = iter(rows)
    schema = None
    writer = None
    try:
        # Without a row there would be no file; there is always one, since what can't be read has a row too.
        while group := list(itertools.islice(rows, ROWS_IN_A_GROUP)):
            if schema is None:
                schema = arrow.schema([(name, _type(arrow, name)) for name in group[0]])
                writer = parquet.ParquetWriter(path, schema, compression="zstd")
            for row in group:
                row["file"] = os.fsencode(row["file"]).decode("utf-8", "backslashreplace")
            writer.write_table(arrow.Table.from_pylist(group, schema))  # type: ignore[union-attr]
    except arrow.ArrowException as error:
        raise OSError(errno.EIO, str(error).partition("\n")[0]) from error
    finally:
        if writer is not None:
            writer.close()


def _type(arrow: Any, name: str) -> Any:
    if name in _TEXTS:
        return arrow.string()
    return arrow.int64() if name in _WHOLE_NUMBERS else arrow.float64()
