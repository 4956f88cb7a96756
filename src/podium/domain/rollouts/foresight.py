"""What the steps of a rollout can tell, said before it begins."""

import math
from collections.abc import Sequence

from podium.domain.rollouts.control import Moment, expected
from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.judging import Criterion, JudgingPolicy, Opinion, Stratum, judge

_BEFORE_S = 300.0
_MOMENTS = 10
_NINE_IN_TEN = 1.2816
_SLOWEST, _FASTEST = 1e-4, 1e6
_HALVINGS = 30
_ALL = 100


def least_rate(steps: Sequence[int], interval_s: float, policy: JudgingPolicy) -> float | None:
    """How many requests a second it takes that steps reject who has `policy.detect` more errors, nine in ten times.

    Beside a stable version without errors that served for five minutes before. None where nothing is to be detected.
    """
    if not policy.detect or policy.errors is None or policy.detect <= policy.errors:
        return None
    low, high = math.log(_SLOWEST), math.log(_FASTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _is_found(steps, interval_s, policy, math.exp(middle)) else (middle, high)
    return math.exp(high)


def _is_found(steps: Sequence[int], interval_s: float, policy: JudgingPolicy, rate: float) -> bool:
    mine = [round(rate * interval_s * step / _ALL) for step in steps]
    likely = sum(mine) * (policy.detect or 0.0)
    # One in ten has fewer errors than these, by the normal approximation.
    share = max(0.0, likely - _NINE_IN_TEN * math.sqrt(likely)) / max(1, sum(mine))
    served_s = _BEFORE_S + interval_s * sum(_ALL - step for step in steps) / _ALL
    usual = expected([Moment(served_s / _MOMENTS, rate * served_s / _MOMENTS, 0.0)] * _MOMENTS)
    strata = [
        Stratum(
            Evidence(round(rate * interval_s) - answers),
            Evidence(answers, int(answers * share)),
            usual if step == _ALL else None,
        )
        for step, answers in zip(steps, mine, strict=True)
    ]
    verdict = judge(strata, policy)
    return verdict.opinion is Opinion.WORSE and verdict.criterion is Criterion.ERRORS
