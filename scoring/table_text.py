"""File names as they stand in a table, and back: UTF-8 whatever bytes a name holds."""

from __future__ import annotations

import os
import re

_BYTE = re.compile(rb"\\x([0-9a-f]{2})")
_LOOKS_LIKE_BYTE = re.compile(rb"\\(?=x[0-9a-f]{2})")


def as_text(name: str) -> str:
    r"""A file name without lone surrogates: bytes that are no UTF-8 become `\xe9`.

    So that `on_disk` finds the name again, a backslash before what looks the same becomes `\x5c`; other backslashes stay.
    """
    try:
        name.encode("utf-8")
        if os.sep == "\\" or "\\x" not in name:
            return name
    except UnicodeEncodeError:
        pass
    return _LOOKS_LIKE_BYTE.sub(rb"\\x5c", os.fsencode(name)).decode("utf-8", "backslashreplace")


def on_disk(text: str) -> str:
    """The name that `as_text` made `text` of. On Windows, where names are text, `text` itself."""
    if os.sep == "\\" or "\\x" not in text:
        return text
    return os.fsdecode(_BYTE.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8")))
