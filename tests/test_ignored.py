"""What people are told to make in the project's folder, such as their own photos, never gets into a commit by accident."""

import itertools
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

_WRITTEN = {"--out", "--annotate", "--plot", "--copy-smiles", "--report", "--board", "--predictions", "--api-key-file"}
_READ = ("training.dataset", "training.mine", "inference.py")  # commands whose arguments are people's own pictures


def named() -> set[str]:
    """Paths in the commands that README, docs and the commands' own explanations show."""
    texts = [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *ROOT.glob("*.py"),
        *(ROOT / "training").glob("*.py"),
    ]
    found = set(re.findall(r"`(mine/\w+)`", (ROOT / "docs" / "training.md").read_text(encoding="utf-8")))
    for text in texts:
        for line in re.findall(r"^\s*(?:\S+/)?python (.*)", text.read_text(encoding="utf-8"), re.MULTILINE):
            try:
                words = shlex.split(line.partition("  #")[0].replace("`", " "))
            except ValueError:  # prose with an apostrophe
                continue
            found |= {value for option, value in itertools.pairwise(words) if option in _WRITTEN}
            for command in _READ:
                if command in words:
                    arguments = words[words.index(command) + 1 :]
                    first_option = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
                    found |= set(arguments[:first_option])
    plain = re.compile(r"[a-z][\w./-]*")  # neither PHOTOS nor @FILE
    return {path for path in found if plain.fullmatch(path) and path != "none" and not path.startswith("folder/")}


def test_what_the_guides_tell_people_to_make_is_ignored_by_git():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a checkout by git")
    paths = named()
    assert {
        "mine",
        "mine/smile",
        "images",
        "holiday/",
        "faces.csv",
        "marked",
        "best.html",
        "datasets/mine",
        "runs/mine",
    } <= paths
    inside = [str(Path(path) / "x") if "." not in Path(path).name else path for path in sorted(paths)]
    run = subprocess.run(
        ["git", "-c", "safe.directory=*", "check-ignore", "--no-index", *inside],  # whoever the checkout belongs to
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert set(inside) - set(run.stdout.splitlines()) == set(), run.stderr
