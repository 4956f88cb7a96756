"""What is held of a version's quality: the newest figures that rest on enough labels, beside the profile's."""

from collections.abc import Mapping
from dataclasses import dataclass

from podium.domain.monitoring.quality.baseline import BaselineRule, Shortfall, shortfalls
from podium.domain.monitoring.quality.figures import WIDTH_S, Figure, figures
from podium.domain.monitoring.quality.tallies import LabelTally
from podium.domain.monitoring.quality.tasks import TaskGuess
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.errors import PodiumError
from podium.monitoring.store import quality as kept
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.quality import Coverage, Figures
from podium.monitoring.store.writing import VersionKey

LENGTHS_S = (HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S)
"""How far back is looked: the shortest that has enough labels is taken, for then a fall is seen soonest."""

_RULE = BaselineRule()


@dataclass(frozen=True, slots=True)
class VariantQuality:
    """How good one variant of a version is.

    Args:
        variant: Which; empty where traffic was not split.
        span: When what it is measured by was predicted.
        rows: Predictions with a label.
        figures: All that the task has.
        shortfalls: Those of them that have a baseline, beside it.
    """

    variant: str
    span: Span
    rows: int
    figures: tuple[Figure, ...]
    shortfalls: tuple[Shortfall, ...]


@dataclass(frozen=True, slots=True)
class JudgedQuality:
    """What is held of a version's quality.

    Args:
        key: Whose.
        guess: What it is taken to be for; None before any label came.
        baseline: Figures of the profile, by name; empty without one.
        variants: Those with labels.
        coverage: Of the last day.
        usual_delay_s: After which 95 % of the labels of the last month had come; None without labels.
        unreadable: Answers of which nothing could be kept, and why the last one could not.
    """

    key: VersionKey
    guess: TaskGuess | None
    baseline: Mapping[str, float]
    variants: tuple[VariantQuality, ...]
    coverage: Coverage
    usual_delay_s: float | None
    unreadable: tuple[int, str] = (0, "")


def judge_quality(connection: StoreConnection, key: VersionKey, now: float) -> JudgedQuality | None:
    """Look at what is kept of a version's quality; None where that is nothing.

    Args:
        connection: Of `MonitorStore.reading`.
        key: Whose.
        now: Seconds since 1970.
    """
    task = kept.kept_task(connection, key)
    if not task.observed.rows and not task.unreadable:
        return None
    baseline = _baseline_of(connection, key)
    month = kept.labels_of(connection, key, _last(now, LENGTHS_S[-1], HOUR_S))
    day = kept.quality_of(connection, key, _last(now, DAY_S, HOUR_S), DAY_S)
    chosen = task.chosen
    return JudgedQuality(
        key,
        None if chosen is None else chosen.guess,
        baseline,
        _variants(connection, key, [variant for variant, each in month.items() if each.matched], baseline, now),
        kept.coverage(sum((each.labels for each in day), LabelTally()), task.last_label_at),
        sum(month.values(), LabelTally()).delay_s(0.95),
        (task.unreadable, task.why),
    )


def newest_figures(
    connection: StoreConnection, key: VersionKey, now: float
) -> tuple[TaskGuess | None, tuple[VariantQuality, ...]]:
    """What a version is for, None before any label came, and how good it is, as `judge_quality` has both.

    Coverage and delays are left out, so that a page of many models may ask for each; so is a variant that has no label as
    new as the others' are.
    """
    chosen = kept.kept_task(connection, key).chosen
    if chosen is None or chosen.guess.task is None:
        return None if chosen is None else chosen.guess, ()
    return chosen.guess, _variants(connection, key, None, _baseline_of(connection, key), now)


def _baseline_of(connection: StoreConnection, key: VersionKey) -> dict[str, float]:
    try:
        profile = reading.profile_of(connection, key)
    except PodiumError:
        profile = None
    return {} if profile is None else {name: value for name, value in profile.quality.items() if name != "rows"}


def _variants(
    connection: StoreConnection, key: VersionKey, variants: list[str] | None, baseline: Mapping[str, float], now: float
) -> tuple[VariantQuality, ...]:
    """Those with labels, each over the shortest stretch that has enough of them, else over the longest.

    Args:
        connection: As above.
        key: Whose.
        variants: That are looked for; None ends where all that were found have enough.
        baseline: Of the profile.
        now: Seconds since 1970.
    """
    taken: dict[str, tuple[Span, Figures]] = {}
    enough: set[str] = set()
    for length_s in LENGTHS_S:
        span = _last(now, length_s, WIDTH_S if length_s == HOUR_S else HOUR_S)
        for point in kept.quality_of(connection, key, span, span.length_s):
            if point.tally is not None and point.variant not in enough:
                taken[point.variant] = span, point.tally
                if point.tally.effective_rows >= _RULE.least_rows:
                    enough.add(point.variant)
        if enough >= set(taken if variants is None else variants) and (taken or variants is not None):
            break
    found = []
    for variant, (span, tally) in sorted(taken.items()):
        measured = figures(tally)
        beside = shortfalls(measured, baseline, _RULE)
        found.append(VariantQuality(variant, span, tally.rows, measured, beside))
    return tuple(found)


def _last(now: float, length_s: int, step_s: int) -> Span:
    """Whole steps, the last one being the one that is counted now."""
    end = (int(now) // step_s + 1) * step_s
    return Span(end - length_s, end)
