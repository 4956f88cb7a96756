"""How good a model was on its reference rows: what live figures are held against (`baseline.py`), and its calibration."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from podium.domain.monitoring.profile import Calibration
from podium.domain.monitoring.quality.calibration import calibrator
from podium.domain.monitoring.quality.figures import figures
from podium.domain.monitoring.quality.observing import CountedAs
from podium.domain.monitoring.quality.tallies import Judged, class_name, tally_classes, tally_numbers
from podium.domain.monitoring.quality.tasks import SaidTask, Task, task_of
from podium.domain.monitoring.values import number

# Beyond, a figure of classes says little and costs much.
_MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on reference rows.

    Attributes:
        quality: Figures by name, and `rows` that they rest on; empty where none could be had.
        calibration: From score to probability, where it helps.
        remark: For people: what the model was taken to be for, or why nothing was measured.
    """

    quality: Mapping[str, float] = field(default_factory=dict)
    calibration: Calibration | None = None
    remark: str = ""


def measured(
    told: Any,
    score: Any,
    labels: Any,
    *,
    is_classes: bool,
    said: SaidTask | None = None,
    chances: Mapping[str, Any] | None = None,
) -> Measured:
    """Figures of predictions whose labels are known.

    Args:
        told: What the model said, one value in each row.
        score: The probability that it told; None where it tells none.
        labels: What was true, as many.
        is_classes: What it said are classes, by the profile.
        said: What somebody said that the model is for.
        chances: The probability of each class in each row, by the class's name; None where it does not tell all of them.
    """
    known = said or SaidTask()
    rows, true = list(told), list(labels)
    if known.task is not None:
        is_classes = known.task is not Task.REGRESSION and (is_classes or not _has_fraction(rows))
    names = {found for each in true if (found := class_name(each)) is not None}
    classes = tuple(sorted({*_classes(rows, names), *(chances or ())})) if is_classes else ()
    if max(len(classes), len(names) if is_classes else 0) > _MOST_CLASSES:
        return Measured(remark=f"No quality was measured: there are more than {_MOST_CLASSES} classes.")
    if is_classes and names and not names & set(_spoken(classes)):
        return Measured(
            remark="No quality was measured: no label is one of the classes that the model told. A model that answers "
            "probabilities tells a class by its place: 0, 1, …; give labels as such numbers."
        )
    span = None if is_classes else _span(rows)
    spoken = names if len(names) <= _MOST_CLASSES else {"0.5", *list(names)[:2]}
    guess = task_of(classes, span, spoken, known.positive, known.task)
    if guess.task is None:
        return Measured(remark=f"No quality was measured. {guess.why}")
    if guess.task is Task.REGRESSION:
        tally = tally_numbers(Judged(*pair) for pair in zip(rows, true, strict=True))
        return Measured(_figures(tally), None, f"Quality as of a regression. {guess.why}")
    counted_as, alone = CountedAs(guess, is_classes), [None] * len(rows)
    scores, shares = alone if score is None else score, _by_row(chances, rows)
    judged = [
        counted_as.judged(each, chance, actual, 1.0, share)
        for each, chance, actual, share in zip(rows, scores, true, shares, strict=True)
    ]
    counted = tally_classes(guess.classes, guess.positive, judged)
    curve = None
    # The profile's scores are those of the second of two classes.
    if guess.positive is not None and (chances is None or guess.positive == list(chances)[-1]):
        pairs = [(number(each.scores[0]), class_name(each.actual)) for each in judged if each.scores]
        usable = [(chance, name) for chance, name in pairs if 0 <= chance <= 1 and name is not None]
        curve = calibrator([chance for chance, _ in usable], [int(name == guess.positive) for _, name in usable])
    return Measured(_figures(counted), curve, f"Quality as of a {guess.task.value} task. {guess.why}")


def _by_row(chances: Mapping[str, Any] | None, rows: list[Any]) -> Iterable[Mapping[str, float] | None]:
    if chances is None:
        return [None] * len(rows)
    shares = zip(*(list(map(float, column)) for column in chances.values()), strict=True)
    return [dict(zip(chances, each, strict=True)) for each in shares]


def _has_fraction(rows: list[Any]) -> bool:
    return any(isfinite(value) and value != int(value) for each in rows if isfinite(value := number(each)))


def _classes(said: list[Any], labels: set[str]) -> tuple[str, ...]:
    """What was told, and what was true where that says more of the same kind."""
    told = {found for each in said if (found := class_name(each)) is not None}
    return (
        tuple(sorted(told))
        if not told & labels
        else tuple(sorted(told | (labels if len(labels) <= _MOST_CLASSES else set())))
    )


def _spoken(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes, and what labels may call them: truth values are often 0 and 1."""
    return (*classes, "0", "1", "true", "false") if set(classes) <= {"true", "false", "0", "1"} else classes


def _span(said: list[Any]) -> tuple[float, float] | None:
    finite = [value for each in said if isfinite(value := number(each))]
    return (min(finite), max(finite)) if finite else None


def _figures(tally: Any) -> dict[str, float]:
    found = {each.metric: each.value for each in figures(tally) if each.value is not None and isfinite(each.value)}
    # Nine digits: sums of logarithms differ in the last ones between processors.
    return {metric: float(f"{value:.9g}") for metric, value in found.items()} | {"rows": float(tally.rows)} if found else {}
