"""Write `requirements/app.lock`: every package of the app's image, with all that it needs and the hashes of the files.

    python -m tools.lock        # needs uv: python -m pip install uv

Versions are those that are installed here, with which the tests were run. The file holds no address of an index.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements" / "app.lock"
# The image installs dlib itself, from the package dlib-bin (see Dockerfile). "dlib" is this project's own folder.
LEFT_OUT = ("dlib", "face-recognition", "face-recognition-models")
_HEAD = "# Made by `python -m tools.lock`; change requirements/app.txt or postgresql.txt, then run it again.\n"


def main() -> int:
    """Exit code 0, or that of uv if it fails."""
    installed = sorted({f"{one.metadata['Name']}=={one.version}" for one in distributions()})
    with tempfile.TemporaryDirectory() as folder:
        tested = Path(folder) / "tested.txt"
        tested.write_text("\n".join(line for line in installed if not line.startswith("dlib==")) + "\n")
        command = [
            *("uv", "pip", "compile", "requirements/app.txt", "requirements/postgresql.txt", "--constraint", str(tested)),
            *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
            *(word for name in LEFT_OUT for word in ("--no-emit-package", name)),
        ]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode == 0:
        LOCK.write_text(_HEAD + done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
