"""Read a file of somebody's own jokes: one a line, or JSON Lines with `setup` and `punchline`.

# Lines that begin like this one, and empty lines, are skipped.
I would tell you a joke about construction, but I am still working on it.
{"setup": "What do you call a fish without eyes?", "punchline": "Fsh."}
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from common.errors import SettingsError
from jokes.joke import Joke
from jokes.readable_text import readable

SOURCE = "file"
MAX_BYTES = 4 << 20
MAX_LETTERS = 600  # of one joke


def read_jokes(path: Path) -> tuple[Joke, ...]:
    """The jokes in their order, each once. A punchline of its own stands after a line end. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(
            f"--jokes {path} can't be read ({error.strerror}); give it a file with one joke a line."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"--jokes {path} is not UTF-8 text; save it as UTF-8.") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"--jokes {path} is larger than {MAX_BYTES >> 20} MB; leave some jokes out.")
    jokes: dict[str, Joke] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            told = _joke(line, f"Line {number} of --jokes {path}")
            identity = f"{SOURCE}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
            jokes.setdefault(identity, Joke(identity, told, SOURCE))
    if not jokes:
        raise SettingsError(f"There is no joke in --jokes {path}; write one a line.")
    return tuple(jokes.values())


def _joke(line: str, where: str) -> str:
    parts = [line]
    if line.lstrip().startswith("{"):
        try:
            read = json.loads(line)
            parts = [read["setup"], read.get("punchline") or ""]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SettingsError(
                f'{where} is not {{"setup": "...", "punchline": "..."}}; fix it, or leave it out.'
            ) from error
        if not all(isinstance(part, str) for part in parts):
            raise SettingsError(f"{where} has a setup or punchline that is not text; put it in quotation marks.")
    told = "\n".join(part for part in map(readable, parts) if part)
    if not told or not readable(parts[0]):
        raise SettingsError(f"{where} has nothing to read; fix it, or leave it out.")
    if len(told) > MAX_LETTERS:
        raise SettingsError(f"{where} has {len(told)} letters; a joke may have {MAX_LETTERS}.")
    return told
