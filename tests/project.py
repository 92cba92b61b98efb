"""Where the project and what lies beside it are, and the environment of its processes."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


def clean_environment() -> dict[str, str]:
    ours = {"PYTHONUNBUFFERED": "1", "SMILE_BOARD": "none"}  # no test counts on the board of whoever runs it
    return {name: value for name, value in os.environ.items() if not name.startswith("SMILE_")} | ours
