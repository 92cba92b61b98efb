"""A joke, a reaction to it, and the sum of its reactions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Joke:
    """`id` is unique within `source`, which is `icanhazdadjoke`, `house` or `file`."""

    id: str
    text: str
    source: str

    @property
    def key(self) -> tuple[str, str]:
        """`(source, id)`: the same joke, even if the service has mended its text."""
        return self.source, self.id


MAX_SECONDS = 60.0


@dataclass(frozen=True)
class Reaction:
    """How somebody took a joke. `before`: P(smile) when the joke began; `peak`: the highest after it; `seconds`: how long
    the smile lasted, 0 to 60. Raises ValueError out of range.
    """

    before: float
    peak: float
    seconds: float

    def __post_init__(self) -> None:
        if not (0 <= self.before <= 1 and 0 <= self.peak <= 1 and 0 <= self.seconds <= MAX_SECONDS):
            raise ValueError("before and peak must be from 0 to 1, seconds from 0 to 60")

    @property
    def lift(self) -> float:
        """By how much the smile grew, -1 to 1; 0 or less if the joke fell flat."""
        return self.peak - self.before


@dataclass(frozen=True)
class Tally:
    """All reactions to one joke. `lifts`, `squares`: sums of lift and of its square; `seconds`: their mean."""

    joke: Joke
    reactions: int
    lifts: float
    squares: float
    seconds: float
