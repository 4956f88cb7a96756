"""What is counted of predictions whose labels are known: sums from which every figure of quality is worked out.

Tallies of workers, gateways, nodes and windows add up, in any order, to the very tally of all their rows; taking one away
leaves the tally of the others. So a label that replaces an earlier one is the earlier row taken away and the new one added.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import exp, isfinite, log
from typing import Any, Self

from podium.domain.monitoring.quality.magnitudes import place_of, quantile
from podium.domain.monitoring.quality.sums import NOTHING, ExactSum, halvings_of, is_negative, merged, total
from podium.domain.monitoring.values import is_missing, name, number

TRUTH = ("false", "true")
WEIGHT_UNITS = 1 << 20
SCORE_BINS = 512
RELIABILITY_BINS = 10
MOST_SCORED = 20
_LARGEST_WEIGHT = 1 << 20
_EVEN, _TAIL, _STEPS = 256, 16, 8
_LEAST_CHANCE = 2.0**-52
_SUM_SLACK = 1e-3
_SMALLEST_ACTUAL = 1e-9

_Cells = Mapping[int, int]


def _score_edges() -> tuple[float, ...]:
    """Where 256 p + 8 logit(p), which grows with p, reaches each whole number on its way through `SCORE_BINS` bins."""
    edges = []
    for border in range(1, SCORE_BINS):
        low, high = -float(_TAIL), float(_TAIL)
        for _ in range(64):
            middle = (low + high) / 2
            reached = _EVEN / (1 + exp(-middle)) + _STEPS * (middle + _TAIL)
            low, high = (middle, high) if reached < border else (low, middle)
        edges.append(1 / (1 + exp(-low)))
    return tuple(edges)


SCORE_EDGES = _score_edges()
"""Between the bins of a score: as fine as 256 equal ones in the middle, and a factor of at most 1.14 apart towards 0 and 1,
down to one in ten million, so that the ranks of a model of rare events, whose scores are all small, are kept apart. Of
several classes 2 or, of more than 4, 4 neighbours are one bin, so that a tally of 20 classes stays below 100 kB as JSON."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A prediction and what was true.

    Args:
        prediction: A class or a number; None where a class is to be taken from `scores`.
        actual: Likewise what was true.
        scores: One for each class, in the tally's order; of a binary task also the probability of the positive class alone.
        weight: What the row counts for, 2 ** -20 to 2 ** 20, rounded to a multiple of 2 ** -20.
    """

    prediction: Any
    actual: Any
    scores: Sequence[float] | None = None
    weight: float = 1.0

    @property
    def units(self) -> int:
        """The weight as a whole number of 2 ** -20ths.

        Raises:
            ValueError: It is none.
        """
        if not 1 / WEIGHT_UNITS <= self.weight <= _LARGEST_WEIGHT:
            raise ValueError(f"weight: expected a number from 2 ** -20 to 2 ** 20, got {self.weight!r}.")
        return round(self.weight * WEIGHT_UNITS)


@dataclass(frozen=True, slots=True)
class Tally:
    """What every tally counts; weights in units of 2 ** -20.

    Args:
        rows: That were counted.
        weight: Sum of their weights.
        squares: Sum of the squares of their weights.
        unusable: Rows that could not be counted: no prediction, no label, or none that is a finite number.
    """

    rows: int = 0
    weight: int = 0
    squares: int = 0
    unusable: int = 0

    @property
    def effective_rows(self) -> float:
        """How many rows of equal weight say as much (Kish, Survey Sampling, 1965)."""
        return self.weight * self.weight / self.squares if self.squares else 0.0

    def __add__(self, other: Self) -> Self:
        return self._merged(other, 1)

    def __sub__(self, other: Self) -> Self:
        """The tally without rows that were added before.

        Raises:
            ValueError: More is taken away than there is, or the two count different things.
        """
        return self._merged(other, -1)

    def _law(self) -> tuple[Any, ...]:
        """What must be equal of two tallies that are added."""
        return (type(self),)

    def _merged(self, other: Self, sign: int) -> Self:
        if self._law() != other._law():
            raise ValueError(f"These tallies count different things: {self._law()!r} and {other._law()!r}.")
        found = {
            each.name: merged(getattr(self, each.name), getattr(other, each.name), sign)
            for each in fields(self)
            if each.metadata.get("adds", True)
        }
        if any(is_negative(counts) for counts in found.values()):
            raise ValueError(f"Of {self.rows} rows {other.rows} cannot be taken away: they were not added to this tally.")
        kept = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in found}
        return type(self)(**kept, **found)


def _law_field() -> Any:
    return field(default=(), metadata={"adds": False})


@dataclass(frozen=True, slots=True)
class ClassTally(Tally):
    """What is counted of a model that says classes.

    Args:
        classes: Their names, in the order of the scores; the place after the last is for any other.
        positive: The place of the positive class of a binary task; None where there are several equal ones.
        confusion: Weights by (place of what was true, place of what was predicted).
        scored: Rows, weight and squares of the weights of rows with usable scores.
        histograms: For each class that is scored (the positive one; else each, of at most `MOST_SCORED`): weights by bin of
            its score, of rows of this class and of the others.
        losses: Sums of the log-loss, of its square, of the Brier score and of its square.
        reliability: For each tenth of the score of the positive class, else of the highest score: weight, weight of rows
            of that class, and sum of the scores.
    """

    classes: tuple[str, ...] = _law_field()
    positive: int | None = field(default=None, metadata={"adds": False})
    confusion: Mapping[tuple[int, int], int] = field(default_factory=dict)
    scored: tuple[int, int, int] = (0, 0, 0)
    histograms: tuple[tuple[_Cells, _Cells], ...] = ()
    losses: tuple[ExactSum, ...] = (NOTHING,) * 4
    reliability: tuple[tuple[int, int, ExactSum], ...] = ((0, 0, NOTHING),) * RELIABILITY_BINS

    def _law(self) -> tuple[Any, ...]:
        return (ClassTally, self.classes, self.positive)

    @property
    def other(self) -> int:
        """The place of all classes that the model does not have."""
        return len(self.classes)


@dataclass(frozen=True, slots=True)
class NumberTally(Tally):
    """What is counted of a model that says numbers; an error is the prediction less what was true.

    Args:
        moments: Sums of error ** i times actual ** j, for each (i, j) of `MOMENTS`.
        absolute: Sum of the errors' sizes.
        relative: Weight and squares of the weights of rows whose actual is not nearly 0, sums of |error / actual| and of
            its square.
        errors: Weights by place of the error (`magnitudes.py`).
    """

    moments: tuple[ExactSum, ...] = (NOTHING,) * 9
    absolute: ExactSum = NOTHING
    relative: tuple[int, int, ExactSum, ExactSum] = (0, 0, NOTHING, NOTHING)
    errors: _Cells = field(default_factory=dict)


MOMENTS = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (2, 0), (4, 0), (2, 1), (2, 2))


@dataclass(frozen=True, slots=True)
class LabelTally:
    """What became of the reports for a version's predictions; all of it adds up.

    Args:
        predicted: Rows that were predicted.
        matched: Of those the rows with a label.
        corrected: Labels that replaced an earlier one.
        unmatched: Reports whose prediction nobody knows.
        duplicate: Reports that said what was known already.
        late: Reports that came after their prediction was forgotten.
        invalid: Reports that could not be read.
        delays: Rows by place of the seconds from the prediction to its first label.
    """

    predicted: int = 0
    matched: int = 0
    corrected: int = 0
    unmatched: int = 0
    duplicate: int = 0
    late: int = 0
    invalid: int = 0
    delays: _Cells = field(default_factory=dict)

    def __add__(self, other: "LabelTally") -> "LabelTally":
        return LabelTally(*(merged(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)))

    @property
    def coverage(self) -> float | None:
        """Which part of the predictions has a label; None where nothing was predicted."""
        return self.matched / self.predicted if self.predicted else None

    def delay_s(self, share: float) -> float | None:
        """After how many seconds this share of all labels had come, within 1.6 %; None without labels."""
        return quantile(self.delays, share)


def delays_of(seconds: Iterable[float]) -> dict[int, int]:
    """Delays as `LabelTally` counts them; a label from before its prediction, by another clock, came at once."""
    return dict(Counter(place_of(max(each, 0.0)) for each in seconds if isfinite(each)))


def class_name(value: Any) -> str | None:
    """What a class is called, by the law of profiles (`values.py`); None for what is missing or no finite number."""
    if is_missing(value) or (isinstance(value, float) and not isfinite(value)):
        return None
    return name(value)


def places_of(classes: Sequence[str]) -> dict[str, int]:
    """The place of each class by its name; of truth values also by 0 and 1, as labels often say them."""
    found = {each: place for place, each in enumerate(classes)}
    if found.keys() == set(TRUTH):
        found |= {str(number): found[word] for number, word in enumerate(TRUTH)}
    return found


def tally_classes(
    classes: Sequence[str], positive: str | None, judged: Iterable[Judged], threshold: float = 0.5
) -> ClassTally:
    """Count rows of a model that says classes.

    Args:
        classes: All that the model knows, as `class_name` calls them; two for a binary task.
        positive: The one that a binary task is about; None counts all alike.
        judged: The rows.
        threshold: From which score on a row without a prediction is taken for positive.

    Raises:
        ValueError: The positive class is none of them, a class is there twice, or a weight is none.
    """
    if len(set(classes)) < len(classes) or (positive is not None and (positive not in classes or len(classes) != 2)):
        raise ValueError(
            f"classes: expected different ones, two of them where one is positive ({positive!r}), got {classes!r}."
        )
    place = places_of(classes)
    chosen = None if positive is None else place[positive]
    confusion: Counter[tuple[int, int]] = Counter()
    scored: list[tuple[int, int, Sequence[float]]] = []
    rows = weight = squares = unusable = 0
    for each in judged:
        units, scores = each.units, _usable(each.scores, len(classes), chosen)
        predicted = _predicted(each.prediction, scores, place, len(classes), chosen, threshold)
        actual = class_name(each.actual)
        if predicted is None or actual is None:
            unusable += 1
            continue
        truth = place.get(actual, len(classes))
        confusion[truth, predicted] += units
        rows, weight, squares = rows + 1, weight + units, squares + units * units
        if scores is not None:
            scored.append((units, truth, scores))
    counted = (rows, weight, squares, unusable, tuple(classes), chosen, dict(sorted(confusion.items())))
    return ClassTally(*counted, *_tally_scores(scored, len(classes), chosen))


def tally_numbers(judged: Iterable[Judged]) -> NumberTally:
    """Count rows of a model that says numbers.

    Raises:
        ValueError: A weight is none.
    """
    rows = weight = squares = unusable = relative_weight = relative_squares = 0
    terms: list[list[tuple[int, int]]] = [[] for _ in range(len(MOMENTS) + 3)]
    errors: Counter[int] = Counter()
    for each in judged:
        units, pair = each.units, (_number(each.prediction), _number(each.actual))
        error = None if pair[0] is None or pair[1] is None else pair[0] - pair[1]
        if error is None or pair[1] is None or not isfinite(error):
            unusable += 1
            continue
        rows, weight, squares = rows + 1, weight + units, squares + units * units
        (e, e_halvings), (y, y_halvings) = halvings_of(error), halvings_of(pair[1])
        for (i, j), column in zip(MOMENTS, terms, strict=False):
            column.append((units * e**i * y**j, i * e_halvings + j * y_halvings))
        terms[-3].append((units * abs(e), e_halvings))
        errors[place_of(error)] += units
        if abs(pair[1]) >= _SMALLEST_ACTUAL and isfinite(error / pair[1]):
            relative_weight, relative_squares = relative_weight + units, relative_squares + units * units
            r, r_halvings = halvings_of(abs(error / pair[1]))
            terms[-2].append((units * r, r_halvings))
            terms[-1].append((units * r * r, 2 * r_halvings))
    *moments, absolute, relative, relative_square = (total(column) for column in terms)
    ratios = (relative_weight, relative_squares, relative, relative_square)
    return NumberTally(rows, weight, squares, unusable, tuple(moments), absolute, ratios, dict(sorted(errors.items())))


def _tally_scores(
    scored: Sequence[tuple[int, int, Sequence[float]]], classes: int, positive: int | None
) -> tuple[Any, ...]:
    """The last four fields of a `ClassTally`, from weight, truth and scores of each row."""
    width = 1 if positive is not None else 2 if classes <= 4 else 4
    watched = [positive] if positive is not None else list(range(classes)) if classes <= MOST_SCORED else []
    cells: list[tuple[Counter[int], Counter[int]]] = [(Counter(), Counter()) for _ in watched]
    terms: list[list[tuple[int, int]]] = [[] for _ in range(4)]
    bins = [[0, 0] for _ in range(RELIABILITY_BINS)]
    sums: list[list[tuple[int, int]]] = [[] for _ in bins]
    for units, truth, scores in scored:
        for at, one in enumerate(watched):
            score = scores[at if positive is None else 0]
            cells[at][truth != one][bisect_right(SCORE_EDGES, score) // width] += units
        if positive is not None:
            top, is_hit = scores[0], truth == positive
            chance, brier = (top if is_hit else 1 - top), (top - is_hit) ** 2
        else:
            top = max(scores)
            is_hit = truth < classes and scores[truth] == top and scores.index(top) == truth
            chance = scores[truth] if truth < classes else 0.0
            brier = sum((score - (truth == place)) ** 2 for place, score in enumerate(scores)) + (truth == classes)
        loss = -log(min(max(chance, _LEAST_CHANCE), 1 - _LEAST_CHANCE))
        for column, value in ((0, loss), (2, brier)):
            numerator, halvings = halvings_of(float(value))
            terms[column].append((units * numerator, halvings))
            terms[column + 1].append((units * numerator * numerator, 2 * halvings))
        tenth = min(int(top * RELIABILITY_BINS), RELIABILITY_BINS - 1)
        bins[tenth][0] += units
        bins[tenth][1] += units * is_hit
        numerator, halvings = halvings_of(float(top))
        sums[tenth].append((units * numerator, halvings))
    seen = (len(scored), sum(each[0] for each in scored), sum(each[0] ** 2 for each in scored))
    histograms = tuple((dict(sorted(mine.items())), dict(sorted(others.items()))) for mine, others in cells)
    reliability = tuple((*counts, total(column)) for counts, column in zip(bins, sums, strict=True))
    return seen, histograms, tuple(total(column) for column in terms), reliability


def _usable(scores: Sequence[Any] | None, classes: int, positive: int | None) -> list[float] | None:
    """Scores that are probabilities, as many as there should be; else None."""
    if scores is None or len(scores) not in {1 if positive is not None else classes, classes}:
        return None
    found = [score for each in scores if (score := _number(each)) is not None and 0 <= score <= 1]
    if len(found) < len(scores):
        return None
    if positive is not None and len(found) == 1:
        return found
    if abs(sum(found) - 1) > _SUM_SLACK:
        return None
    return found if positive is None else [found[positive]]


def _predicted(
    prediction: Any,
    scores: list[float] | None,
    place: Mapping[str, int],
    classes: int,
    positive: int | None,
    threshold: float,
) -> int | None:
    """The place of the predicted class; None where nothing says it."""
    said = class_name(prediction)
    if said is not None:
        return place.get(said, classes)
    if scores is None:
        return None
    if positive is None:
        return scores.index(max(scores))
    return positive if scores[0] >= threshold else 1 - positive


def _number(value: Any) -> float | None:
    """A finite float, by the law of profiles; None for anything else."""
    found = number(value)
    return found if isfinite(found) else None
