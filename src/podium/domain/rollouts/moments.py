"""What a candidate answered while nothing was beside it, by moments: a bad one may be everybody's.

With all of the traffic a candidate is held against what the stable version did before. Where what both depend on fails for
some seconds, or the machine is slow for some, that would be the candidate's fault. So what stands out is left out there, a
quarter of the time at most, or five looks; a candidate that is worse all the time does not stand out from itself.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from podium.domain.rollouts.control import Expected, Moment, dispersion, is_outage
from podium.domain.rollouts.evidence import Evidence

_MOST = 64
_FORGIVEN = 4
_LEAST = 5


@dataclass(frozen=True, slots=True)
class Moments:
    """Evidence by time; adding it up gives all of it.

    Args:
        looks: How many looks make one moment; it doubles when there would be too many.
        full: Moments that are over, oldest first.
        last: The one that goes on, after so many looks.
        seen: Looks in `last`.
    """

    looks: int = 1
    full: tuple[Evidence, ...] = ()
    last: Evidence = field(default_factory=Evidence)
    seen: int = 0

    def and_then(self, more: Evidence) -> "Moments":
        """With what was answered since the last look."""
        last, seen = self.last + more, self.seen + 1
        if seen < self.looks:
            return replace(self, last=last, seen=seen)
        full = (*self.full, last)
        if len(full) < _MOST:
            return replace(self, full=full, last=Evidence(), seen=0)
        pairs = tuple(one + other for one, other in zip(full[::2], full[1::2], strict=True))
        return Moments(2 * self.looks, pairs)

    def without_the_worst(self, before: Evidence, usual: Expected | None = None) -> tuple[Evidence, float]:
        """All of it but what stands out among the worst moments, and how unevenly the errors of the rest came.

        Of errors and of latencies for itself.

        Args:
            before: What else is usual.
            usual: What is known of errors; a look is a second.

        Returns: The evidence, and its `dispersion`.
        """
        moments = [*self.full, *((self.last,) if self.seen else ())]
        quarter, least = -(-len(moments) // _FORGIVEN), -(-_LEAST // self.looks)
        if usual is None:
            counts = _kept(moments, before, _failing, _fails, max(quarter, least))
        else:
            forgiven = max(quarter, math.ceil(usual.outage_s / self.looks))
            counts = _kept(
                moments, before, _failing, lambda each, _: is_outage(each.requests, each.errors, usual.share), forgiven
            )
        times = _kept(moments, before, _slowness, _is_slow, max(quarter, least))
        spread = dispersion([Moment(self.looks, each.requests, each.errors) for each in counts])
        return replace(sum(counts, Evidence()), latency=sum(times, Evidence()).latency), spread


def _kept(
    moments: Iterable[Evidence],
    before: Evidence,
    badness: Callable[[Evidence], float],
    stands_out: Callable[[Evidence, Evidence], bool],
    forgiven: int,
) -> list[Evidence]:
    by_badness = sorted(moments, key=badness, reverse=True)
    rest = by_badness[forgiven:]
    usual = sum(rest, before)
    return [*(each for each in by_badness[:forgiven] if not stands_out(each, usual)), *rest]


def _failing(moment: Evidence) -> float:
    return moment.errors / moment.requests if moment.requests else 0.0


def _fails(moment: Evidence, usual: Evidence) -> bool:
    return is_outage(moment.requests, moment.errors, _failing(usual))


def _slowness(moment: Evidence) -> float:
    """The mean cell: answers' latencies, on a logarithmic scale."""
    answers = sum(moment.latency)
    return sum(cell * count for cell, count in enumerate(moment.latency)) / answers if answers else 0.0


def _is_slow(moment: Evidence, usual: Evidence) -> bool:
    """Whether its answers took half as long again as is usual."""
    return _slowness(moment) > _slowness(usual) + 1
