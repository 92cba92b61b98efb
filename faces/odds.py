"""Probabilities as log-odds, in which evidence adds up."""

from __future__ import annotations

import math


def log_odds(probability: float, least: float = 1e-6) -> float:
    """`probability` counts as `least` at least and as 1 - `least` at most."""
    kept = min(max(probability, least), 1 - least)
    return math.log(kept / (1 - kept))


def probability(odds: float) -> float:
    """The probability, 0 to 1, with these log-odds."""
    return 1 / (1 + math.exp(-odds))
