"""A classifier that is asked to tell rows of now from the reference's: where it can, something of them is not as it was.

It is the last resort of looking for drift: it sees whatever a tree sees, of one column or of many together, and costs
seconds; so it is asked on demand. Scores count only of rows that it was not trained on (five folds); what the area under
their ROC curve means decides `domain/monitoring/multivariate.py`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from podium.domain.monitoring.distributions import normal_tail
from podium.domain.monitoring.multivariate import JointFinding, judge_separation
from podium.domain.monitoring.profile import CategoryProfile, ColumnProfile, TextProfile
from podium.domain.monitoring.quality import intervals
from podium.domain.monitoring.samples import Floats
from podium.domain.monitoring.values import column_array, is_missing, lengths, name, numbers
from podium.errors import InvalidInput, MissingDependency

FOLDS = 5
MOST_TOLD = 10

_ASIDE_ROWS = 2000
_SURE = 3


@dataclass(frozen=True, slots=True)
class ToldApart:
    """How well rows of now are told from the reference's.

    Attributes:
        finding: The area under the ROC curve, and what it means.
        low, high: The area's interval, of 95 %.
        p_value: The chance that guessing does as well.
        reference_rows, current_rows: How many there were.
        columns: Those by which they are told: of each, how much smaller the area is without it, the largest first.
    """

    finding: JointFinding
    low: float
    high: float
    p_value: float
    reference_rows: int
    current_rows: int
    columns: tuple[tuple[str, float], ...]


def tell_apart(
    columns: Mapping[str, ColumnProfile], reference: Mapping[str, Any], current: Mapping[str, Any], seed: int = 0
) -> ToldApart:
    """Train gradient-boosted trees (scikit-learn's, on histograms) to tell rows apart, and see how well they do.

    Args:
        columns: A profile's of the reference: how each is read. A category is one of those that it names or another one,
            of a text only the length counts.
        reference: Arrays by name, of one length.
        current: Likewise.
        seed: Of the folds and the trees.

    Raises:
        InvalidInput: There is no column, or either has fewer rows than there are folds.
        MissingDependency: scikit-learn is not installed.
    """
    names = [each for each in columns if each in reference and each in current]
    if not names:
        raise InvalidInput("The two have no column in common, so there is nothing to tell their rows apart by.")
    sides = [np.column_stack([_coded(columns[each], side[each]) for each in names]) for side in (reference, current)]
    sizes = [len(side) for side in sides]
    if min(sizes) < FOLDS:
        raise InvalidInput(f"Rows are told apart in {FOLDS} folds; expected {FOLDS} rows of each, got {min(sizes)}.")
    rows, is_current = np.concatenate(sides), np.repeat([0, 1], sizes)
    areas: list[float] = []
    falls = np.zeros((FOLDS, len(names)))
    random = np.random.default_rng(seed)
    with _one_thread():
        for fold, (kept, aside) in enumerate(_folds(sizes, random)):
            trees = _trees([isinstance(columns[each], CategoryProfile) for each in names], seed)
            trees.fit(rows[kept], is_current[kept])
            areas.append(area_of(trees.predict_proba(rows[aside])[:, 1], is_current[aside]))
            falls[fold] = _falls(trees, rows[aside], is_current[aside], random)
    area = float(np.mean(areas))
    finding = judge_separation(area, sizes[0], sizes[1])
    low, high = intervals.area(area, sizes[1], sizes[0])
    p_value = normal_tail((area - 0.5) / sqrt((sum(sizes) + 1) / (12 * sizes[0] * sizes[1])))
    return ToldApart(finding, low, high, p_value, sizes[0], sizes[1], _telling(names, falls))


def area_of(scores: Any, is_positive: Any) -> float:
    """The area under the ROC curve: how often a positive's score is above a negative's; equal ones count half."""
    negatives, positives = np.sort(scores[is_positive == 0]), scores[is_positive == 1]
    below = negatives.searchsorted(positives, "left") + negatives.searchsorted(positives, "right")
    return float(below.sum() / (2 * len(negatives) * len(positives)))


def _coded(column: ColumnProfile, values: Any) -> Floats:
    """One number in each row: a category's place among those that are named, and one for all others; NaN where missing."""
    array = column_array(values)
    if isinstance(column, TextProfile):
        return lengths(array)
    if not isinstance(column, CategoryProfile):
        found = numbers(array, column.dtype)
        return np.where(np.isfinite(found), found, np.nan)
    places = {each: place for place, each in enumerate(column.bins.names)}
    known = {_number_name(each): place for each, place in places.items()}
    other = len(places)
    return np.array(
        [np.nan if is_missing(each) else known.get(name(each), other) for each in array.tolist()], dtype=np.float64
    )


def _number_name(category: str) -> str:
    """As `name` writes truth values."""
    return {"false": "0", "true": "1"}.get(category, category)


def _folds(sizes: Sequence[int], random: Any) -> list[tuple[Any, Any]]:
    """What is trained on and what is aside, five times; each has its part of both."""
    starts = (0, sizes[0])
    parts = [np.array_split(start + random.permutation(size), FOLDS) for start, size in zip(starts, sizes, strict=True)]
    asides = [np.concatenate([part[fold] for part in parts]) for fold in range(FOLDS)]
    every = np.arange(sum(sizes))
    return [(np.setdiff1d(every, aside), aside) for aside in asides]


def _one_thread() -> AbstractContextManager[Any]:
    """Threads that wait for each other by spinning take minutes where a second is enough, once others want the processors.

    Raises:
        MissingDependency: scikit-learn, which brings this, is not installed.
    """
    try:
        # First: only libraries that are loaded are limited.
        import sklearn.ensemble  # noqa: F401
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingDependency("scikit-learn", "Telling rows apart by a classifier", "sklearn") from error
    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _trees(is_category: Sequence[bool], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(categorical_features=list(is_category), early_stopping=False, random_state=seed)


def _falls(trees: Any, rows: Floats, is_current: Any, random: Any) -> Floats:
    """How much smaller the area is where a column's values are each another row's (Breiman, Machine Learning 45, 2001)."""
    few = random.permutation(len(rows))[:_ASIDE_ROWS]
    rows, is_current = rows[few], is_current[few]
    if len(set(is_current.tolist())) < 2:
        return np.zeros(rows.shape[1])
    whole = area_of(trees.predict_proba(rows)[:, 1], is_current)
    found = np.zeros(rows.shape[1])
    for place in range(rows.shape[1]):
        torn = rows.copy()
        torn[:, place] = random.permutation(rows[:, place])
        found[place] = whole - area_of(trees.predict_proba(torn)[:, 1], is_current)
    return found


def _telling(names: Sequence[str], falls: Floats) -> tuple[tuple[str, float], ...]:
    """The columns without which the area is smaller by more than the folds differ."""
    means, errors = falls.mean(axis=0), falls.std(axis=0, ddof=1) / sqrt(len(falls))
    order = np.argsort(-means, kind="stable")[:MOST_TOLD]
    return tuple((names[place], float(means[place])) for place in order if means[place] > _SURE * errors[place])
