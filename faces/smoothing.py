"""Filters over time: positions that neither tremble nor lag, and a probability whose label does not flicker."""

from __future__ import annotations

import math

import numpy as np

from smile_recognition import SMILE_THRESHOLD


class OneEuroFilter:
    """Smooths points: strongly while they rest, hardly while they move (Casiez, Roussel and Vogel, CHI 2012).

    Unlike the original, all points share one cutoff, from their common speed: a face's points rest or move together.
    """

    def __init__(self, *, min_cutoff: float = 1.2, beta: float = 10.0, speed_cutoff: float = 2.0) -> None:
        """Cutoff in Hz: `min_cutoff` at rest, `beta` more for each unit a second; `speed_cutoff` smooths the speed."""
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


class SmoothedSmile:
    """P(smile) over time, and a label with hysteresis that never contradicts it.

    The probability follows within about a tenth of a second. Near one half it stays on the side where it was, so that a
    face between two expressions does not flicker; beyond `band` it changes sides.
    """

    def __init__(self, *, time_constant: float = 0.08, band: float = 0.07) -> None:
        """`time_constant` in seconds."""
        self._time_constant, self._band = time_constant, band
        self._mean: float | None = None
        self._smiling = False

    def __call__(self, raw: float, elapsed: float) -> float:
        """The smoothed probability, `elapsed` seconds after the last one."""
        if self._mean is None:
            self._mean = raw
            self._smiling = raw >= SMILE_THRESHOLD
            return raw
        self._mean += (1 - math.exp(-max(0.0, elapsed) / self._time_constant)) * (raw - self._mean)
        needed = SMILE_THRESHOLD + (-self._band if self._smiling else self._band)
        self._smiling = self._mean >= needed
        return self.value

    @property
    def value(self) -> float:
        """What the last call returned."""
        mean, smiling = self.state
        return max(mean, SMILE_THRESHOLD) if smiling else min(mean, math.nextafter(SMILE_THRESHOLD, 0))

    @property
    def state(self) -> tuple[float, bool]:
        """The mean, and whether the face smiles; only after a call."""
        assert self._mean is not None
        return self._mean, self._smiling

    @state.setter
    def state(self, state: tuple[float, bool]) -> None:
        self._mean, self._smiling = state


def _weight(cutoff: float, elapsed: float) -> float:
    """How far a low-pass filter of `cutoff` Hz goes towards a new value after `elapsed` seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * elapsed))
