"""How much of the traffic each of several versions gets by what feedback says of them: Thompson sampling, worked out.

What is known of an arm's mean reward is a Beta distribution: Beta(1 + rewards, 1 + penalties). Thompson (Biometrika 25,
1933) sends each request to an arm with the probability that this arm is the best; that probability is its share here, as
in Scott, A modern Bayesian look at the multi-armed bandit (Appl. Stoch. Models Bus. Ind. 26, 2010). It is integrated rather
than sampled, so that the same counts always give the same shares. A reward between 0 and 1 counts as a part of each
(Agrawal, Goyal, Analysis of Thompson sampling, COLT 2012, draw a coin for it): its variance is at most that of a coin, so
that the distribution is never too narrow. Older feedback may count for less: discounting as Garivier, Moulines (ALT 2011).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from podium.domain.traffic import POINTS

_NODES, _DEVIATIONS = 200, 12.0


@dataclass(frozen=True, slots=True)
class Arm:
    """What feedback says of a version.

    Args:
        rewards: Sum of the rewards, each from 0 to 1.
        penalties: Sum of what each lacked to 1.
    """

    rewards: float = 0.0
    penalties: float = 0.0

    @property
    def rated(self) -> float:
        """How many answers that rests on."""
        return self.rewards + self.penalties

    @property
    def mean(self) -> float | None:
        """The mean reward; None where nothing was said."""
        return self.rewards / self.rated if self.rated else None

    def aged(self, elapsed_s: float, half_life_s: float | None) -> "Arm":
        """What it counts for after a while; without a half-life it never counts for less."""
        if half_life_s is None:
            return self
        factor = 0.5 ** (elapsed_s / half_life_s)
        return Arm(self.rewards * factor, self.penalties * factor)


def chances(arms: Sequence[Arm]) -> tuple[float, ...]:
    """The probability of each arm that its mean reward is the highest of all; together 1.

    By the midpoint rule on cells that are as narrow as each arm's distribution asks for.
    """
    if len(arms) < 2:
        return (1.0,) * len(arms)
    posteriors = [(1.0 + arm.rewards, 1.0 + arm.penalties) for arm in arms]
    nodes = sorted({node for a, b in posteriors for node in _nodes(a, b)})
    # Of two neighbours among the floats, such as the last before 1 and 1, no middle lies between.
    cells = [(low, middle, high) for low, high in pairwise(nodes) if low < (middle := (low + high) / 2) < high]
    middles, widths = [middle for _, middle, _ in cells], [high - low for low, _, high in cells]
    masses = [_masses(a, b, middles, widths) for a, b in posteriors]
    below = [_below(each) for each in masses]
    best = [0.0] * len(arms)
    for cell in range(len(middles)):
        # The product over all others, without a division: what is behind times what is ahead.
        ahead = [1.0]
        for each in reversed(below[1:]):
            ahead.append(ahead[-1] * each[cell])
        behind = 1.0
        for index, each in enumerate(below):
            best[index] += masses[index][cell] * behind * ahead[len(below) - 1 - index]
            behind *= each[cell]
    whole = sum(best)
    return tuple(each / whole for each in best)


def shares(chances: Sequence[float], floor: int) -> tuple[int, ...]:
    """Whole percents for arms by their chances, together 100.

    Args:
        chances: As `chances` says them.
        floor: The fewest percents of each, so that it is heard of again when times change; of too many arms less.
    """
    count = len(chances)
    least = min(floor, POINTS // count)
    exact = [least + (POINTS - count * least) * chance for chance in chances]
    given = [math.floor(each) for each in exact]
    # The largest remainders get what rounding left; the earlier arm among equals, so that everybody comes to the same.
    order = sorted(range(count), key=lambda index: (given[index] - exact[index], index))
    for index in order[: POINTS - sum(given)]:
        given[index] += 1
    return tuple(given)


def settle(before: Mapping[str, int], now: Mapping[str, int], step: int) -> Mapping[str, int]:
    """The shares to go by: those of before until one of them is to move by a step or more, or there are other arms.

    Args:
        before: By version.
        now: What feedback says, likewise.
        step: Percents.
    """
    if before.keys() != now.keys() or any(abs(now[arm] - before[arm]) >= step for arm in now):
        return now
    return before


def _nodes(a: float, b: float) -> list[float]:
    """The borders of cells in which Beta(a, b) hardly bends, and beyond which it has nothing."""
    mean = a / (a + b)
    deviation = math.sqrt(mean * (1 - mean) / (a + b + 1))
    low, high = max(0.0, mean - _DEVIATIONS * deviation), min(1.0, mean + _DEVIATIONS * deviation)
    return [low + (high - low) * step / _NODES for step in range(_NODES + 1)]


def _masses(a: float, b: float, middles: Sequence[float], widths: Sequence[float]) -> list[float]:
    """How much of Beta(a, b) lies in each cell."""
    logs = [(a - 1) * math.log(middle) + (b - 1) * math.log1p(-middle) for middle in middles]
    peak = max(logs)
    raw = [math.exp(log - peak) * width for log, width in zip(logs, widths, strict=True)]
    whole = sum(raw)
    return [each / whole for each in raw]


def _below(masses: Sequence[float]) -> list[float]:
    """How much lies below the middle of each cell."""
    seen, found = 0.0, []
    for mass in masses:
        found.append(seen + mass / 2)
        seen += mass
    return found
