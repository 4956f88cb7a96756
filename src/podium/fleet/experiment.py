"""An experiment: the versions of a split against the one that serves, by what clients report of their answers.

It begins when the split does, and anew when its versions change or a counter was begun anew; nothing of it outlives the
server, as nothing of the counters does. What is made of it says `domain/monitoring/quality/experiments.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from podium.domain.monitoring.quality.experiments import (
    Conclusion,
    ExperimentLook,
    ExperimentPlan,
    VariantSums,
    look,
    mismatch_chance,
)
from podium.telemetry.evidence import Outcomes

_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Variant:
    """One version of an experiment.

    Args:
        requests: That were sent to it since the experiment began.
        due: How many it should have had, by its weight at the time.
        sums: Of the rewards that were reported of its answers.
        look: What is made of it beside the control; None of the control itself.
    """

    requests: int
    due: float
    sums: VariantSums
    look: ExperimentLook | None = None


@dataclass(frozen=True, slots=True)
class SplitTrial:
    """An experiment so far.

    Args:
        control: The version that serves.
        began_at: Seconds since 1970.
        plan: What is looked for; alpha is of each comparison, so that all of them together take the usual chance.
        is_drawn: Whether each request is assigned by itself. Where clients stay with a version, numbers of requests say
            nothing of how those were assigned.
        routed: The probability that luck takes requests so far from the weights; None where clients stay.
        variants: By version, the control first.
    """

    control: str
    began_at: float
    plan: ExperimentPlan
    is_drawn: bool
    routed: float | None
    variants: Mapping[str, Variant]


@dataclass(slots=True)
class _Begun:
    """What stood there when it began, and what was due since.

    Where weights have changed between two looks, nobody knows which of them requests were assigned by: what came is due.
    """

    at: float
    plan: ExperimentPlan
    before: Mapping[str, Outcomes]
    last: dict[str, Outcomes]
    parts: Mapping[str, int]
    due: dict[str, float] = field(default_factory=dict)


class Experiment:
    """Looks at a split every few seconds. Event loop's thread only.

    Args:
        outcomes: What all gateways have counted of a version so far.
        is_drawn: As of a `SplitTrial`.
        clock: Seconds that never jump.
        wall: Seconds since 1970.

    Attributes:
        trial: As of the last look; None where there is nothing to compare.
    """

    def __init__(
        self,
        outcomes: Callable[[str], Outcomes],
        *,
        is_drawn: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.trial: SplitTrial | None = None
        self._outcomes = outcomes
        self._is_drawn = is_drawn
        self._clock, self._wall = clock, wall
        self._looked_at = -_LOOK_S
        self._begun: _Begun | None = None

    def look(self, weights: Sequence[tuple[str, int]], *, is_settled: bool = True) -> None:
        """Take in what was counted since the last look, if that is some seconds ago.

        Args:
            weights: Versions and their parts in percent, the one that serves first.
            is_settled: Whether all gateways go by them; until they do, nobody knows by which requests are assigned.
        """
        parts = dict(weights)
        if len(parts) < 2:
            self.trial = self._begun = None
            return
        now, begun = self._clock(), self._begun
        if not is_settled:
            if begun is not None:
                begun.parts = {}
            return
        if begun is not None and now - self._looked_at < _LOOK_S and list(parts.items()) == list(begun.parts.items()):
            return
        self._looked_at = now
        seen = {version: self._outcomes(version) for version in parts}
        if begun is None or list(begun.before) != list(parts) or any(seen[each] < begun.last[each] for each in parts):
            begun = self._begun = _begin(seen, parts, self._wall())
            self.trial = None
        more = {version: seen[version].assigned - begun.last[version].assigned for version in parts}
        for version, part in parts.items():
            due = sum(more.values()) * part / (sum(parts.values()) or 1) if parts == begun.parts else more[version]
            begun.due[version] = begun.due.get(version, 0.0) + due
        begun.last, begun.parts = seen, parts
        self.trial = _trial(begun, seen, self.trial, is_drawn=self._is_drawn)


def _begin(seen: Mapping[str, Outcomes], parts: Mapping[str, int], at: float) -> _Begun:
    usual = ExperimentPlan()
    return _Begun(at, replace(usual, alpha=usual.alpha / (len(seen) - 1)), seen, dict(seen), parts)


def _trial(begun: _Begun, seen: Mapping[str, Outcomes], before: SplitTrial | None, *, is_drawn: bool) -> SplitTrial:
    grown = {version: each - begun.before[version] for version, each in seen.items()}
    control = next(iter(grown))
    routed = mismatch_chance([each.assigned for each in grown.values()], list(begun.due.values())) if is_drawn else None
    variants = {}
    for version, each in grown.items():
        found = None
        if version != control:
            found = _look(
                begun.plan, grown[control], each, routed, None if before is None else before.variants[version].look
            )
        variants[version] = Variant(each.assigned, begun.due[version], each.sums, found)
    return SplitTrial(control, begun.at, begun.plan, is_drawn, routed, variants)


def _look(
    plan: ExperimentPlan, control: Outcomes, other: Outcomes, routed: float | None, before: ExperimentLook | None
) -> ExperimentLook:
    """Answers of both must be reported alike, and requests go where they were meant to."""
    # Where clients stay with a version, one that reports much may be of either: then nothing is said of it.
    assigned = (control.assigned, other.assigned) if routed is not None else (control.sums.rows, other.sums.rows)
    found = look(plan, control.sums, other.sums, assigned, before)
    if routed is not None and routed < plan.mismatch:
        return replace(found, conclusion=Conclusion.BLOCKED, mismatch=min(routed, found.mismatch))
    return found
