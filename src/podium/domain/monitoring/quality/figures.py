"""How good a version is by what is known of it: figures with intervals from tallies, held against a baseline."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf, sqrt

from podium.domain.monitoring.quality.intervals import LEVEL, Interval, area, normal, wilson
from podium.domain.monitoring.quality.magnitudes import quantile
from podium.domain.monitoring.quality.sums import ExactSum
from podium.domain.monitoring.quality.tallies import MOMENTS, WEIGHT_UNITS, ClassTally, NumberTally

WIDTH_S = 300
_Cells = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of quality.

    Args:
        metric: As `LAWS` names it.
        value: None where it is not defined, such as the precision of a model that never said yes.
        interval: Its lower and upper end; None where there is none.
        rows: Rows that it rests on; where rows have weights, as many of equal weight as say as much, rounded down.
    """

    metric: str
    value: float | None
    interval: Interval | None
    rows: int


def figures(tally: ClassTally | NumberTally, level: float = LEVEL) -> tuple[Figure, ...]:
    """All figures of what was counted, in the order of `METRICS`.

    Args:
        tally: Of one slice, or of several added up.
        level: How often an interval holds what it is an interval of.
    """
    if isinstance(tally, NumberTally):
        return _number_figures(tally, level)
    confusion = _binary_figures(tally, level) if tally.positive is not None else _multiclass_figures(tally, level)
    return (*confusion, *_score_figures(tally, level))


def confusion_of(tally: ClassTally, positive: int) -> tuple[float, float, float, float]:
    """True positives, false positives, false negatives and true negatives of one class, by weight."""
    cells = [0, 0, 0, 0]
    for (actual, predicted), weight in tally.confusion.items():
        cells[2 * (actual != positive) + (predicted != positive)] += weight
    tp, fn, fp, tn = (cell / WEIGHT_UNITS for cell in cells)
    return tp, fp, fn, tn


def error_quantiles(tally: NumberTally, shares: Iterable[float]) -> tuple[float | None, ...]:
    """For each share the error that so many are at most, within 1.6 %; above 0 is predicted too high."""
    return tuple(quantile(tally.errors, share) for share in shares)


def _binary_figures(tally: ClassTally, level: float) -> tuple[Figure, ...]:
    tp, fp, fn, tn = confusion_of(tally, tally.positive or 0)
    rows, whole = tally.effective_rows, tally.weight / WEIGHT_UNITS

    def rate(metric: str, hits: float, of: float) -> Figure:
        if not of:
            return Figure(metric, None, None, 0)
        effective = rows * of / whole
        return Figure(metric, hits / of, wilson(hits / of, effective, level), int(effective))

    overlap = rate("f1", tp, tp + fp + fn)
    shared, ends = overlap.value, overlap.interval
    f1 = None if shared is None else 2 * shared / (1 + shared)
    f1_ends = None if ends is None else (2 * ends[0] / (1 + ends[0]), 2 * ends[1] / (1 + ends[1]))
    return (
        rate("accuracy", _hits(tally) / WEIGHT_UNITS, whole),
        rate("precision", tp, tp + fp),
        rate("recall", tp, tp + fn),
        rate("specificity", tn, tn + fp),
        Figure("f1", f1, f1_ends, overlap.rows),
    )


def _hits(tally: ClassTally) -> int:
    """The weight of rows that were predicted right; a class that the model does not have is never right."""
    return sum(weight for (true, said), weight in tally.confusion.items() if true == said != tally.other)


def _multiclass_figures(tally: ClassTally, level: float) -> tuple[Figure, ...]:
    """Means over the classes that were true or predicted; what is undefined of one counts as 0, as in scikit-learn."""
    names = ("precision_macro", "recall_macro", "f1_macro", "f1_weighted")
    rows = tally.effective_rows
    if not rows:
        return tuple(Figure(name, None, None, 0) for name in ("accuracy", *names))
    accuracy = _hits(tally) / tally.weight
    cells = {place: weight / tally.weight for place, weight in tally.confusion.items()}
    true, said = defaultdict[int, float](float), defaultdict[int, float](float)
    for (actual, predicted), share in cells.items():
        true[actual] += share
        said[predicted] += share
    seen = sorted({*true, *said})
    hit = {each: cells.get((each, each), 0.0) if each != tally.other else 0.0 for each in seen}
    precision = {each: hit[each] / said[each] if said[each] else 0.0 for each in seen}
    recall = {each: hit[each] / true[each] if true[each] else 0.0 for each in seen}
    f1 = {each: 2 * hit[each] / (true[each] + said[each]) for each in seen}
    part, spread = 1 / len(seen), {each: true[each] + said[each] for each in seen}

    # The slope of each figure by the share of one cell of the confusion matrix.
    def of_precision(i: int, j: int) -> float:
        return part * ((_right(i, j) - precision[j]) / said[j])

    def of_recall(i: int, j: int) -> float:
        return part * ((_right(i, j) - recall[i]) / true[i])

    def of_f1(i: int, j: int) -> float:
        return part * (2 * _right(i, j) / spread[i] - f1[i] / spread[i] - f1[j] / spread[j])

    def of_weighted(i: int, j: int) -> float:
        return true[i] * (2 * _right(i, j) - f1[i]) / spread[i] - true[j] * f1[j] / spread[j] + f1[i]

    def _right(i: int, j: int) -> bool:
        return i == j != tally.other

    # Where nothing was wrong, the slopes say nothing; each class is then as sure as its rows are many.
    alike = len(seen) ** 2 / sum(1 / max(rows * true[each], 1.0) for each in seen)
    values = (
        (sum(precision.values()) * part, of_precision, alike),
        (sum(recall.values()) * part, of_recall, alike),
        (sum(f1.values()) * part, of_f1, alike),
        (sum(true[each] * f1[each] for each in seen), of_weighted, rows),
    )
    found = [Figure("accuracy", accuracy, wilson(accuracy, rows, level), int(rows))]
    for name, (value, slope, otherwise) in zip(names, values, strict=True):
        slopes = [(share, slope(*place)) for place, share in cells.items()]
        mean = sum(share * each for share, each in slopes)
        variance = sum(share * (each - mean) ** 2 for share, each in slopes) / rows
        is_inside = variance > 1e-15 and 0 < value < 1
        effective = value * (1 - value) / variance if is_inside else otherwise
        found.append(Figure(name, value, wilson(min(value, 1.0), effective, level), int(rows)))
    return tuple(found)


def _score_figures(tally: ClassTally, level: float) -> tuple[Figure, ...]:
    """Figures of the probabilities that were told.

    Of several classes the area is that of each class against the rest (Fawcett, An introduction to ROC analysis, Pattern
    Recognition Letters 27, 2006, section 9), averaged with equal weights over all classes of the tally, however rare:
    scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`. The log-loss is the mean of -log of the probability
    of the class that was true, at least 2 ** -52: scikit-learn's `log_loss`, from sums without rounding.
    """
    _, weight, squares = tally.scored
    rows = weight * weight / squares if squares else 0.0
    areas = [_area(*cells, rows, level) for cells in tally.histograms]
    defined = [each for each in areas if each is not None]
    if tally.positive is not None:
        value, ends = defined[0] if defined else (None, None)
        found = [Figure("roc_auc", value, ends, int(rows)), _average_precision(tally, rows, level)]
    else:
        # As scikit-learn, which has no mean where one class has no area.
        is_whole = bool(defined) and len(defined) == len(areas)
        value, ends = _mean_area(defined) if is_whole else (None, None)
        found = [Figure("roc_auc_macro", value, ends, int(rows))]
    for metric, at in (("log_loss", 0), ("brier", 2)):
        found.append(_mean(metric, tally.losses[at], tally.losses[at + 1], weight, rows, level))
    gaps = sum(abs(sums.fraction - hits) for _, hits, sums in tally.reliability)
    return (*found, Figure("ece", float(gaps / weight) if weight else None, None, int(rows)))


def _area(mine: _Cells, others: _Cells, rows: float, level: float) -> tuple[float, Interval] | None:
    """The area under the ROC curve, pairs in one bin counted as half; its interval reaches as far as they may matter.

    So it is wrong by at most half of the share of pairs, one of the class and one not, whose scores share a bin: of scores
    that are spread evenly at most 0.002, and in fact far less, as errors of pairs even out.
    """
    positives, negatives = sum(mine.values()), sum(others.values())
    if not positives or not negatives:
        return None
    twice = ties = below = 0
    for place in sorted({*mine, *others}):
        here, there = mine.get(place, 0), others.get(place, 0)
        twice, ties, below = twice + here * (2 * below + there), ties + here * there, below + there
    auc, unsure = twice / (2 * positives * negatives), ties / (2 * positives * negatives)
    whole = positives + negatives
    low, high = area(auc, rows * positives / whole, rows * negatives / whole, level)
    return auc, (max(0.0, low - unsure), min(1.0, high + unsure))


def _mean_area(areas: list[tuple[float, Interval]]) -> tuple[float, Interval]:
    count = len(areas)
    low, high = sum(ends[0] for _, ends in areas) / count, sum(ends[1] for _, ends in areas) / count
    return sum(value for value, _ in areas) / count, (low, high)


def _average_precision(tally: ClassTally, rows: float, level: float) -> Figure:
    mine, others = tally.histograms[0] if tally.histograms else ({}, {})
    positives, whole = sum(mine.values()), sum(mine.values()) + sum(others.values())
    if not positives:
        return Figure("average_precision", None, None, 0)
    value, tp, said = 0.0, 0, 0
    for place in sorted({*mine, *others}, reverse=True):
        tp, said = tp + mine.get(place, 0), said + mine.get(place, 0) + others.get(place, 0)
        value += mine.get(place, 0) / positives * tp / said
    effective = rows * positives / whole
    return Figure("average_precision", value, wilson(min(value, 1.0), effective, level), int(effective))


def _number_figures(tally: NumberTally, level: float) -> tuple[Figure, ...]:
    rows, weight = tally.effective_rows, tally.weight
    relative_weight, relative_squares, relative, relative_square = tally.relative
    relative_rows = relative_weight**2 / relative_squares if relative_squares else 0.0
    moments = dict(zip(MOMENTS, tally.moments, strict=True))
    squared = _mean("rmse", moments[2, 0], moments[4, 0], weight, rows, level)
    ends = None if squared.interval is None else (sqrt(squared.interval[0]), sqrt(squared.interval[1]))
    return (
        _mean("mae", tally.absolute, moments[2, 0], weight, rows, level),
        Figure("rmse", None if squared.value is None else sqrt(squared.value), ends, squared.rows),
        _mean("bias", moments[1, 0], moments[2, 0], weight, rows, level, -inf),
        _explained({place: sums.fraction for place, sums in moments.items()}, weight, rows, level),
        _mean("mape", relative, relative_square, relative_weight, relative_rows, level),
    )


def _mean(
    metric: str, sums: ExactSum, squares: ExactSum, weight: int, rows: float, level: float, least: float = 0.0
) -> Figure:
    """A mean over rows by the sums of what they contribute and of its squares."""
    if not weight:
        return Figure(metric, None, None, 0)
    mean = sums.fraction / weight
    value, variance = _float(mean), _float(squares.fraction / weight - mean * mean)
    if value is None or variance is None or rows < 2:
        return Figure(metric, value, None, int(rows))
    low, high = normal(value, variance / (rows - 1), level)
    ends = (max(least, low), high) if high - low < inf else None
    return Figure(metric, value, ends, int(rows))


def _explained(sums: Mapping[tuple[int, int], Fraction], weight: int, rows: float, level: float) -> Figure:
    """R squared: which part of the actual numbers' variance the predictions explain.

    A row adds (e ** 2 - q (y - mean) ** 2) / v to the linear part of 1 - R squared, where q is 1 - R squared and v the
    variance of y.
    """
    if not weight:
        return Figure("r2", None, None, 0)
    m = {place: each / weight for place, each in sums.items()}
    mean, mse = m[0, 1], m[2, 0]
    spread = m[0, 2] - mean**2
    if not spread:
        return Figure("r2", None, None, int(rows))
    missed = mse / spread
    both = m[2, 2] - 2 * mean * m[2, 1] + mean**2 * mse
    fourth = m[0, 4] - 4 * mean * m[0, 3] + 6 * mean**2 * m[0, 2] - 3 * mean**4
    value, variance = _float(1 - missed), _float((m[4, 0] - 2 * missed * both + missed**2 * fourth) / spread**2)
    if value is None or variance is None or rows < 2:
        return Figure("r2", value, None, int(rows))
    low, high = normal(value, variance / (rows - 1), level)
    return Figure("r2", value, (low, min(1.0, high)) if high - low < inf else None, int(rows))


def _float(value: Fraction) -> float | None:
    """None where it is beyond floats."""
    try:
        return float(value)
    except OverflowError:
        return None
