"""A joke, a reaction to it, and the sum of its reactions."""

from __future__ import annotations

from dataclasses import dataclass

from common.face import SMILE_THRESHOLD


@dataclass(frozen=True)
class Joke:
    """`id` is unique within `source`, which is `icanhazdadjoke`, `house` or `file`. In `text`, a line break may part set-up
    and punchline.
    """

    id: str
    text: str
    source: str

    @property
    def key(self) -> tuple[str, str]:
        """`(source, id)`: the same joke, even if the service has mended its text."""
        return self.source, self.id


MAX_SECONDS = 60.0
LEAST_LIFT = 0.1  # a smaller one may be chance: P(smile) trembles by some points


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
        """By how much the smile grew, -1 to 1 in thousandths; 0 or less if the joke fell flat."""
        return round(self.peak - self.before, 3)

    @property
    def laughed(self) -> bool:
        """Whether the joke made somebody laugh: afterwards it was a smile, and clearly more of one than before.

        `static/jokes/lift.js` has the same rule for the page.
        """
        return self.peak >= SMILE_THRESHOLD and self.lift >= LEAST_LIFT


@dataclass(frozen=True)
class Tally:
    """All reactions to one joke. `laughs`: how many laughed; `lifts`, `squares`: sums of lift and of its square; `seconds`:
    their mean.
    """

    joke: Joke
    reactions: int
    laughs: int
    lifts: float
    squares: float
    seconds: float
