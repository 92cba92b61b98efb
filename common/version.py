"""The project's version, as the newest release in CHANGELOG.md has it. Whoever says it takes it from here."""

from __future__ import annotations

VERSION = "1.0.0"
HOME = "https://github.com/dad-jokes-for-smiles/dad-jokes-for-smiles"
