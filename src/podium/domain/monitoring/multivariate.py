"""Drift of columns together: each is what it was, and what they have to do with each other is not.

A few directions describe most of the reference's rows (principal components, Hotelling 1933). How far a row is from what
they keep of it changes when the columns no longer go together as they did, though each has the values that it always had:
the reconstruction error that NannyML alarms by, with its limits. Otherwise than there, one value far out is no alarm, for
numbers are cut to where 98 of 100 of the reference's are; and limits are wider for fewer rows than they were made from.

A domain classifier is asked to tell rows of now from the reference's; what its answer means is decided here, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from podium.domain.monitoring.counts import ErrorSums, ModelCounts
from podium.domain.monitoring.distributions import normal_quantile
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.guard import GuardPolicy
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile, Multivariate, NumberProfile, Profile
from podium.domain.monitoring.reconstruction import errors
from podium.domain.monitoring.samples import Floats
from podium.domain.monitoring.windows import Span

PCA = "pca"
MOST_TOGETHER = 200
CHUNKS = 10

_KEPT_VARIANCE = 0.65
_DEVIATIONS = 3
_SURE = 1.5
_LEAST_CHANGE = 0.05
_SEPARABLE_WARN = 0.55
_SEPARABLE_ALERT = 0.65
_DEFAULT_GUARD = GuardPolicy()


@dataclass(frozen=True, slots=True)
class JointFinding:
    """What was seen of all columns together in one window.

    Args:
        method: `pca` or `classifier`.
        score: The reconstruction error, or the area under the curve; None where there were too few rows.
        low, high: Between them is nothing to be told.
        rows: Of the window.
        verdict: What comes of it.
    """

    method: str
    score: float | None
    low: float
    high: float
    rows: int
    verdict: ColumnVerdict


def can_be_together(columns: Mapping[str, ColumnProfile]) -> list[str]:
    """The columns that are looked at together, at most 200: numbers that vary, and categories. Texts are not."""
    fitting = [
        each
        for each, column in columns.items()
        if isinstance(column, CategoryProfile) or (isinstance(column, NumberProfile) and column.std)
    ]
    return fitting[:MOST_TOGETHER]


def fitted(names: Sequence[str], rows: Floats, *, is_held_out: bool = False) -> Multivariate | None:
    """The directions that keep 65 % of the reference's variance, and how far its rows are from them.

    Args:
        names: Of the columns.
        rows: The reference's, as `encoded`, in the order of time where they have one; NaN where a value is missing.
        is_held_out: Whether each chunk of the reference is measured by directions of the other nine. Rows are nearer to
            directions that were found among them than any rows to come: with thirty columns that have little to do with
            each other and 5,000 rows by 3 %, which is more than chance does to a window. NannyML does not, so that
            windows in which nothing happened are at its upper limit.

    Returns: None where there are fewer than two columns, or fewer rows than 10 chunks of two.
    """
    if len(names) < 2 or len(rows) < 2 * CHUNKS:
        return None
    together = _directions(names, rows)
    chunks = np.array_split(rows, CHUNKS)
    means = []
    for place, chunk in enumerate(chunks):
        by = together
        if is_held_out:
            others = np.concatenate([each for other, each in enumerate(chunks) if other != place])
            by = _directions(names, others, len(together.components))
        means.append(float(errors(by, chunk).mean()))
    return replace(together, error_mean=float(np.mean(means)), error_std=float(np.std(means)), rows=len(rows))


def _directions(names: Sequence[str], rows: Floats, count: int | None = None) -> Multivariate:
    """So many, or as many as it takes; without what is known of errors."""
    missing = np.isnan(rows)
    known = np.maximum((~missing).sum(axis=0), 1)
    mean = np.where(missing, 0.0, rows).sum(axis=0) / known
    filled = np.where(missing, mean, rows)
    std = filled.std(axis=0)
    std[std == 0] = 1.0
    scaled = (filled - mean) / std
    variances, vectors = np.linalg.eigh(scaled.T @ scaled)
    order = np.argsort(variances)[::-1]
    if count is None:
        kept = np.cumsum(variances[order]) / variances.sum() if variances.sum() else np.ones(len(names))
        # All of them would keep everything, and nothing would ever be far from them.
        count = min(int(np.searchsorted(kept, _KEPT_VARIANCE, side="right")) + 1, len(names) - 1)
    components = vectors[:, order[:count]].T
    # The sign of a direction is anybody's choice.
    components *= np.sign(components[np.arange(count), np.argmax(np.abs(components), axis=1)])[:, None]
    directions = tuple(_tuple(direction) for direction in components)
    return Multivariate(tuple(names), _tuple(mean), _tuple(std), directions, 0.0, 0.0)


def limits(together: Multivariate, reference_rows: int, rows: int) -> tuple[float, float]:
    """Between which the mean error of so many rows lies: three deviations of the reference's chunks on both sides.

    Args:
        together: What was fitted.
        reference_rows: It was fitted on so many; its chunks had a tenth.
        rows: For fewer than such a chunk had, the deviation is larger by the square root.
    """
    chunk = reference_rows / CHUNKS
    deviation = together.error_std * sqrt(max(1.0, chunk / rows))
    return together.error_mean - _DEVIATIONS * deviation, together.error_mean + _DEVIATIONS * deviation


def judge_together(
    together: Multivariate, reference_rows: int, rows: Floats, policy: GuardPolicy = _DEFAULT_GUARD
) -> JointFinding:
    """Whether columns still go together as in the reference.

    Beyond the limits is a warning, unless the window's own rows say that chance does as much. An alert is half as far
    again beyond them, as ten chunks know their own deviation only roughly (one window in a hundred without drift is beyond
    three of these deviations), and a twentieth of the mean error.

    Args:
        together: What was fitted.
        reference_rows: On how many rows.
        rows: The window's, as `encoded`: all or a sample of them.
        policy: How many there have to be.
    """
    found = errors(together, rows)
    seen = _Seen(len(found), float(found.mean()), float(found.std())) if len(found) else _Seen(0, 0.0, 0.0)
    low, high = limits(together, reference_rows, max(len(rows), 1))
    verdict, score = _verdict(together, reference_rows, seen, policy)
    return JointFinding(PCA, score, low, high, len(rows), verdict)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Of a window's rows: how many were looked at, their mean error, and one row's deviation."""

    rows: int
    mean: float
    deviation: float


def _verdict(
    together: Multivariate, reference_rows: int, seen: _Seen, policy: GuardPolicy
) -> tuple[ColumnVerdict, float | None]:
    if seen.rows < policy.min_rows or reference_rows < policy.min_reference_rows:
        return ColumnVerdict.INSUFFICIENT_DATA, None
    low, high = limits(together, reference_rows, seen.rows)
    away = abs(seen.mean - together.error_mean)
    chance = seen.deviation * sqrt(1 / seen.rows + 1 / reference_rows)
    if low <= seen.mean <= high or away < normal_quantile(1 - policy.alpha / 2) * chance:
        return ColumnVerdict.OK, seen.mean
    return ColumnVerdict.ALERT if away >= _needed(together, high) else ColumnVerdict.WARN, seen.mean


def _needed(together: Multivariate, high: float) -> float:
    """How far from the mean error an alert is."""
    return max(_SURE * (high - together.error_mean), _LEAST_CHANGE * together.error_mean)


def found_together(
    profile: Profile, counts: ModelCounts, span: Span, policy: GuardPolicy = _DEFAULT_GUARD
) -> ColumnFinding | None:
    """What a window's rows show of all columns together, told like a finding of one column.

    Its `usual` is the reference's mean error, and `warn` and `alert` are on the side of it where the window's is: below it
    too, columns go together otherwise than they did.

    Args:
        profile: The reference.
        counts: Of the window, by that profile.
        span: The window.
        policy: How sure one must be, and how many rows it takes; those count that were looked at, a sample.

    Returns: None where the profile does not say how its columns go together, or of how many rows it knows that.
    """
    together = profile.multivariate
    if together is None or not together.rows:
        return None
    sums: ErrorSums = counts.together
    seen = _Seen(sums.rows, sums.mean, sums.deviation) if sums.rows else _Seen(0, 0.0, 0.0)
    low, high = limits(together, together.rows, max(seen.rows, 1))
    verdict, score = _verdict(together, together.rows, seen, policy)
    needed = _needed(together, high)
    is_below = score is not None and score < together.error_mean
    return ColumnFinding(
        PCA,
        Role.TOGETHER,
        Check.DRIFT,
        span,
        PCA,
        score,
        low if is_below else high,
        together.error_mean - needed if is_below else together.error_mean + needed,
        seen.rows,
        together.rows,
        verdict,
        usual=together.error_mean,
    )


def judge_separation(
    area: float, reference_rows: int, current_rows: int, policy: GuardPolicy = _DEFAULT_GUARD
) -> JointFinding:
    """Whether a classifier that was to tell rows of now from the reference's could do so.

    A half is guessing: a warning from 0.55 on and an alert from 0.65 on, as with Evidently and NannyML, and only beyond
    what guessing reaches with the chance alpha (the variance of Mann and Whitney's U, Ann. Math. Statist. 18, 1947). Below
    a half it guessed badly, which is no drift.

    Args:
        area: Under the ROC curve of scores for rows that the classifier was not trained on, 0 to 1.
        reference_rows: So scored.
        current_rows: So scored.
        policy: How sure one must be, and how many rows it takes.

    Raises:
        ValueError: `area` does not lie from 0 to 1.
    """
    if not 0 <= area <= 1:
        raise ValueError(f"an area under a ROC curve lies from 0 to 1, got {area}")
    if current_rows < policy.min_rows or reference_rows < policy.min_reference_rows:
        return JointFinding("classifier", None, 0.0, 1.0, current_rows, ColumnVerdict.INSUFFICIENT_DATA)
    deviation = sqrt((reference_rows + current_rows + 1) / (12 * reference_rows * current_rows))
    noise = 0.5 + normal_quantile(1 - policy.alpha) * deviation
    verdict = ColumnVerdict.OK
    if area >= max(noise, _SEPARABLE_WARN):
        verdict = ColumnVerdict.ALERT if area >= _SEPARABLE_ALERT else ColumnVerdict.WARN
    return JointFinding("classifier", area, 0.0, max(noise, _SEPARABLE_WARN), current_rows, verdict)


def _tuple(values: Floats) -> tuple[float, ...]:
    """To nine digits: sums differ between processors in their last ones."""
    return tuple(float(f"{value:.9g}") for value in values.tolist())
