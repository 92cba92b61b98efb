"""How funny each joke is, from few and noisy reactions: an estimate, its certainty, the order, and which joke comes next.

Model: a lift is its joke's true lift plus chance, `lift ~ N(joke, spread^2)`, and true lifts differ from joke to joke,
`joke ~ N(typical, spread^2 / PRIOR_REACTIONS)`; `typical` and `spread` are estimated from all jokes (empirical Bayes: Efron
and Morris, "Data analysis using Stein's estimator", JASA 70, 1975; Gelman et al., "Bayesian Data Analysis", 3rd ed., 5.4).
So a joke's estimate is its own mean, drawn towards the typical one as if PRIOR_REACTIONS people had reacted that way. The
spread is that of all jokes together, because two reactions tell nothing about their own spread.

Order: by the lower end of the 95 % interval, so that one big smile does not beat fifty good ones (as Evan Miller, "How not
to sort by average rating", 2009, does for votes).

Choice: Thompson sampling (Russo et al., "A tutorial on Thompson sampling", 2018). Each joke draws a lift from what is known
about it, and the joke with the highest lift is told.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jokes.joke import Joke, Tally

LEVEL = 0.95
PRIOR_REACTIONS = 8.0
UNTRIED_SHARE = 0.2  # of all jokes told, at least, while there are new ones, however good the old ones are

_PRIOR_LIFT, _PRIOR_JOKES = 0.2, 4.0  # `typical` before anything is known, and how many jokes that counts for
_PRIOR_SPREAD, _PRIOR_DEGREES = 0.4, 20.0  # most smiles are there or not: sqrt(p (1 - p)) is 0.4 at p = 0.2


@dataclass(frozen=True)
class Standing:
    """A joke's place. `laughs`: how many of its `reactions` were laughs. Lifts are from -1 to 1: `mean` as measured,
    `estimate` with all that is known, `low` and `high` the ends of its 95 % interval; `seconds`: mean length of a smile.
    """

    joke: Joke
    reactions: int
    laughs: int
    mean: float
    estimate: float
    low: float
    high: float
    seconds: float


class Ranking:
    """`standings`: jokes that somebody reacted to, funniest first; `typical`: the lift to expect of any other."""

    def __init__(self, tallies: Iterable[Tally] = ()) -> None:
        tallies = [tally for tally in tallies if tally.reactions > 0]
        means = [tally.lifts / tally.reactions for tally in tallies]
        within = sum(tally.squares - tally.reactions * mean**2 for tally, mean in zip(tallies, means, strict=True))
        degrees = sum(tally.reactions - 1 for tally in tallies)
        # Each joke counts once, and less while little is known of it. Counted by reactions, the best jokes, told most, would
        # weigh most.
        weights = [tally.reactions / (tally.reactions + PRIOR_REACTIONS) for tally in tallies]
        weighted = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
        self.typical = (_PRIOR_JOKES * _PRIOR_LIFT + weighted) / (_PRIOR_JOKES + sum(weights))
        self._spread = math.sqrt((_PRIOR_DEGREES * _PRIOR_SPREAD**2 + max(0.0, within)) / (_PRIOR_DEGREES + degrees))
        self._known = {tally.joke.key: (self._estimate(tally), tally.reactions) for tally in tallies}
        standings = [self._standing(tally, mean) for tally, mean in zip(tallies, means, strict=True)]
        self.standings = tuple(sorted(standings, key=lambda standing: (-standing.low, -standing.estimate)))

    def __contains__(self, joke: Joke) -> bool:
        return joke.key in self._known

    def sample(self, joke: Joke, chance: random.Random) -> float:
        """A lift that `joke` may truly have, drawn from what is known about it, or about all jokes if it is untried."""
        estimate, reactions = self._known.get(joke.key, (self.typical, 0))
        return chance.gauss(estimate, self._doubt(reactions))

    def choose(self, tried: Sequence[Joke], untried: Joke | None, chance: random.Random) -> Joke | None:
        """The joke to tell: one of `tried`, or `untried`; None if there is neither."""
        if untried is not None and untried not in self and (not tried or chance.random() < UNTRIED_SHARE):
            return untried
        candidates = [*tried, untried] if untried is not None else [*tried]
        return max(candidates, key=lambda joke: self.sample(joke, chance), default=None)

    def _estimate(self, tally: Tally) -> float:
        return (PRIOR_REACTIONS * self.typical + tally.lifts) / (PRIOR_REACTIONS + tally.reactions)

    def _doubt(self, reactions: int) -> float:
        """Standard deviation of what is known about a joke's true lift."""
        return self._spread / math.sqrt(PRIOR_REACTIONS + reactions)

    def _standing(self, tally: Tally, mean: float) -> Standing:
        estimate = self._estimate(tally)
        reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * self._doubt(tally.reactions)
        low, high = max(-1.0, estimate - reach), min(1.0, estimate + reach)
        return Standing(tally.joke, tally.reactions, tally.laughs, mean, estimate, low, high, tally.seconds)
