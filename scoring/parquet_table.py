"""Write rows to a Parquet file, some thousand at a time. pyarrow is loaded only when it is needed.

write_parquet(rows, Path("faces.parquet"))     # rows with the columns of `scoring.rows`
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
    """Loads the package now and not after an hour's work. Raises SettingsError if it is missing."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise SettingsError(
            f"A Parquet table needs pyarrow; install it with: {sys.executable} -m pip install -r requirements/scale.txt"
        ) from error


def write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes every row in groups of `ROWS_IN_A_GROUP`. Values are text, numbers or None.

    Parquet holds only Unicode: odd bytes in a file name become `\\xe9`. Raises OSError.
    """
    arrow = require_pyarrow()
    parquet = importlib.import_module("pyarrow.parquet")
    rows = iter(rows)
    schema = None
    writer = None
    try:
        # Without a row there would be no file. There is always a row, because a file that can't be read has one, too.
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
