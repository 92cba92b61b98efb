"""Where the project's own files are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
DEFAULT_MODEL = MODELS / "smile.tflite"
DEFAULT_FINDER = MODELS / "finder.tflite"
HOUSE_JOKES = ROOT / "jokes" / "house_jokes.txt"
STATIC = ROOT / "static"
BROWSER_RUNTIME = ROOT / "build" / "browser"  # made by `make browser`
