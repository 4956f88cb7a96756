"""What to expect of the stable version's errors when nothing of it is there any more: its last minutes, as a control.

With all of the traffic a candidate can only be held against another time. So that a bad time is not the candidate's fault,
the control is wider than what was counted there:

- its share may be as large as the upper bound of what the stable version's was, and half as much again: times drift;
- where its errors varied more from moment to moment than chance would have them, all counts are divided by that factor, as
  in quasi-likelihood (McCullagh, Nelder, Generalized Linear Models, 1989, 4.5): what comes in clumps says less;
- outages are left out, and a candidate is forgiven them for twice as long as one was known to last, ten seconds at least;
  for a minute where one was under way when the stable version lost its last share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from podium.domain.rollouts.likelihood import bounds

DELTA = 0.005
"""The chance with which the stable version's share may lie beyond either bound of what was counted of it."""
OUTAGE = 0.2
_DRIFT = 0.5
_KEPT = 0.75
_LONGER = 2.0
_SHORTEST_S, _UNDER_WAY_S = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What a version answered in some seconds, and how much of it was errors."""

    seconds: float
    answers: float
    errors: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What the stable version would have done, by what it did.

    Args:
        share: Of errors, as it was.
        low, high: It was not less than `low`, and would not have been more than `high`.
        dispersion: So many times as much as by chance its errors varied; at least 1.
        outage_s: For how long outages are no fault of a candidate that is alone.
    """

    share: float
    low: float
    high: float
    dispersion: float
    outage_s: float


def expected(moments: Sequence[Moment]) -> Expected | None:
    """What to expect after these moments, oldest first; None where nothing was answered in them."""
    moments = [each for each in moments if each.answers]
    if not moments:
        return None
    by_badness = sorted(moments, key=_failing)
    usual = by_badness[: max(1, round(_KEPT * len(by_badness)))]
    share = sum(each.errors for each in usual) / sum(each.answers for each in usual)
    kept, run, longest = [], 0.0, 0.0
    for each in moments:
        if is_outage(each.answers, each.errors, share):
            run += each.seconds
            longest = max(longest, run)
        else:
            kept.append(each)
            run = 0.0
    # Whose time was mostly outages has nothing usual.
    kept = kept if 2 * len(kept) >= len(moments) else moments
    answers, errors, spread = sum(each.answers for each in kept), sum(each.errors for each in kept), dispersion(kept)
    low, high = bounds(errors / spread, answers / spread, DELTA)
    # `run` is what was under way at the end: of that the candidate knows nothing.
    outage_s = max(_SHORTEST_S, _LONGER * longest, _UNDER_WAY_S if run else 0.0)
    return Expected(errors / answers, low, min(1.0, high + _DRIFT * errors / answers), spread, outage_s)


def dispersion(moments: Sequence[Moment]) -> float:
    """How many times as much as by chance errors vary from moment to moment, by Pearson's statistic; 1 if within chance."""
    moments = [each for each in moments if each.answers]
    answers, errors = sum(each.answers for each in moments), sum(each.errors for each in moments)
    if len(moments) < 2 or not 0 < errors < answers:
        return 1.0
    share = errors / answers
    # Where less than one error is to be expected the statistic says little, and says it loudly.
    grouped, asked, failed = [], 0.0, 0.0
    for each in moments:
        asked, failed = asked + each.answers, failed + each.errors
        if asked * share >= 1:
            grouped.append((asked, failed))
            asked = failed = 0.0
    strange = sum((failed - asked * share) ** 2 / (asked * share * (1 - share)) for asked, failed in grouped)
    degrees = len(grouped) - 1
    # Its own standard deviation is sqrt(2 / degrees): what is within two of them is chance, of which there is enough.
    return strange / degrees if degrees > 0 and strange / degrees > 1 + 2 * math.sqrt(2 / degrees) else 1.0


def is_outage(answers: float, errors: float, usual: float) -> bool:
    """Whether a moment is an outage: a fifth of its answers, and three times what is to be expected by the usual share.

    A candidate with few errors has moments with more of them by chance; leaving those out would hide it.
    """
    return errors > max(3 * (answers * usual + 1), answers * OUTAGE)


def _failing(moment: Moment) -> float:
    return moment.errors / moment.answers
