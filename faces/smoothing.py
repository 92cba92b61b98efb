"""Filters over time: positions that neither tremble nor lag, and a probability whose label does not flicker."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from faces.odds import log_odds, probability
from smile_recognition import SMILE_THRESHOLD


class OneEuroFilter:
    """Smooths points: strongly while they rest, hardly at all while they move (Casiez, Roussel and Vogel, CHI 2012).

    Unlike the original, all points share one cutoff, from their common speed: a face's points rest or move together.
    """

    def __init__(self, *, min_cutoff: float = 1.2, beta: float = 10.0, speed_cutoff: float = 2.0) -> None:
        """Cutoff in Hz: `min_cutoff` at rest, and `beta` more for each unit a second. `speed_cutoff` smooths the speed."""
        self._min_cutoff, self._beta, self._speed_cutoff = min_cutoff, beta, speed_cutoff
        self._points: np.ndarray | None = None
        self._raw: np.ndarray | None = None
        self._velocity: np.ndarray | None = None

    def __call__(self, points: np.ndarray, elapsed: float, unit: float = 1.0) -> np.ndarray:
        """`points` `(n, 2)`, `elapsed` seconds after the last ones; `unit`: the length that speed is measured in."""
        if self._points is None or self._raw is None or self._velocity is None or elapsed <= 0:
            self._points = self._raw = points.astype(float)
            self._velocity = np.zeros_like(self._points)
            return self._points
        velocity = (points - self._raw) / (elapsed * unit)
        self._raw = points.astype(float)
        self._velocity = self._velocity + _weight(self._speed_cutoff, elapsed) * (velocity - self._velocity)
        speed = math.sqrt(float(np.mean(np.sum(self._velocity**2, axis=1))))
        weight = _weight(self._min_cutoff + self._beta * speed, elapsed)
        self._points = self._points + weight * (points - self._points)
        return self._points

    @property
    def state(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The smoothed points, the last ones as they came, and their velocity, each `(n, 2)`; only after a call."""
        points, raw, velocity = self._points, self._raw, self._velocity
        assert points is not None
        assert raw is not None
        assert velocity is not None
        return points, raw, velocity

    @state.setter
    def state(self, state: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        self._points, self._raw, self._velocity = state

    def reset(self) -> None:
        self._points = self._raw = self._velocity = None


class SmileState(NamedTuple):
    """`mean`: P(smile) over time; `evidence` for a smile, in log-odds times seconds; `neutral`: the log-odds at which the
    face rests; `smiling`: the label.
    """

    mean: float
    evidence: float
    neutral: float
    smiling: bool


class SmoothedSmile:
    """P(smile) over time, and a label that changes when there is enough evidence (Wald 1945) and never contradicts it.

    Each frame's log-odds count for as long as the frame lasted. A clear smile is believed within a tenth of a second, and
    one that reads 0.55 only after a second, so that a face between two expressions does not flicker. A face whose own
    neutral reads as half a smile is measured against that: what counts is how far it is above where it rests.
    """

    def __init__(
        self,
        *,
        time_constant: float = 0.08,
        enough: float = 0.12,
        surest: float = 3.0,
        falls: float = 0.3,
        rises: float = 3.0,
        longest: float = 0.2,
        resting: float = 0.5,
    ) -> None:
        """`time_constant` of the probability, in seconds. `enough`: evidence for either label, in log-odds times seconds, to
        which a frame adds at most `surest` log-odds for at most `longest` seconds.

        The neutral follows lower readings with the time constant `falls`, higher ones with `rises`, in seconds. Those of a
        smiling face that are higher than it and than `resting`, in log-odds, are its smile: they leave the neutral as it
        is, so that a smile that is held does not fade.
        """
        self._time_constant, self._enough, self._surest = time_constant, enough, surest
        self._falls, self._rises, self._longest, self._resting = falls, rises, longest, resting
        self._state: SmileState | None = None

    def __call__(self, raw: float, elapsed: float) -> float:
        """The smoothed probability, `elapsed` seconds after the last one."""
        odds = min(max(log_odds(raw), -self._surest), self._surest)
        if self._state is None:
            self._state = SmileState(raw, self._enough * min(max(odds, -1), 1), odds, raw >= SMILE_THRESHOLD)
            return raw
        mean, evidence, neutral, smiling = self._state
        elapsed = max(0.0, elapsed)
        if not smiling or odds <= max(neutral, self._resting):
            neutral += (1 - math.exp(-elapsed / (self._falls if odds < neutral else self._rises))) * (odds - neutral)
        line = _line(neutral)
        mean += (1 - math.exp(-elapsed / self._time_constant)) * (probability(log_odds(raw) - line) - mean)
        evidence += (odds - line) * min(elapsed, self._longest)
        evidence = min(max(evidence, -self._enough), self._enough)
        smiling = evidence > -self._enough if smiling else evidence >= self._enough
        self._state = SmileState(mean, evidence, neutral, smiling)
        return self.value

    @property
    def value(self) -> float:
        """What the last call returned."""
        mean, smiling = self.state.mean, self.state.smiling
        return max(mean, SMILE_THRESHOLD) if smiling else min(mean, math.nextafter(SMILE_THRESHOLD, 0))

    @property
    def neutral(self) -> float:
        """The probability at which the face rests, counted as the smoothed one is."""
        return probability(self.state.neutral - _line(self.state.neutral))

    @property
    def state(self) -> SmileState:
        """Only after a call."""
        assert self._state is not None
        return self._state

    @state.setter
    def state(self, state: SmileState) -> None:
        self._state = state


def _line(neutral: float) -> float:
    """The log-odds from which on a face that rests at the log-odds `neutral` smiles: 1 where that reads 0.50 to 0.62, less
    and less outside, and 0 below 0.27 and above 0.82. A face that reads so high all the time probably does smile.
    """
    return min(max(1 + neutral, 0.0), 1.0) * min(max(1.5 - neutral, 0.0), 1.0)


def _weight(cutoff: float, elapsed: float) -> float:
    """How far a low-pass filter of `cutoff` Hz goes towards a new value after `elapsed` seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * elapsed))
