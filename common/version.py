"""The project's version: that of the newest release in CHANGELOG.md. All code that names it takes it from here."""

from __future__ import annotations

VERSION = "1.0.0"
HOME = "https://github.com/dad-jokes-for-smiles/dad-jokes-for-smiles"
