"""What a window's histograms say of a classification's quality while no label has come: estimates, and always called so.

A window keeps how many scores fell into each twentieth, and how often each class was told; a profile says which chance a
score stands for, and how good the model was on the reference rows. Between a bin's ends nobody knows where a score lay, so
only the difference between two histograms is believed: what is told is what labels showed on the reference rows, moved by
as much as the window's histogram is estimated otherwise than the reference's own. An unchanged histogram gives the very
figure that was measured. Where the reference's histogram does not give it back, scores are no chances of being right, or
the bins are too coarse for them, and nothing is estimated.

Of a regression a window keeps each column by itself, and no row. What is expected of its errors needs rows whole, so
nothing is estimated of it here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot

from podium.domain.monitoring.counts import ModelCounts
from podium.domain.monitoring.profile import Calibration, NumberProfile, Profile
from podium.domain.monitoring.quality.calibration import probability
from podium.domain.monitoring.quality.estimation import Band, Estimate, estimate_classes
from podium.domain.monitoring.quality.tasks import METRICS, Task, task_of

LEAST_ROWS = 500
_MOST_GAP = 0.1
_PIECES = 8


@dataclass(frozen=True, slots=True)
class EstimatedFigure:
    """One figure without labels.

    Args:
        estimate: What is expected, with three standard errors to each side.
        baseline: What labels showed on the reference rows.
        usual: Where labels of as many reference rows would have it; three standard errors to each side of the baseline.
    """

    estimate: Estimate
    baseline: float
    usual: Band

    @property
    def is_usual(self) -> bool:
        """Whether it lies where the reference's own rows would."""
        return self.estimate.value is not None and self.usual.holds(self.estimate.value)


@dataclass(frozen=True, slots=True)
class WindowEstimates:
    """All that is estimated of a window.

    Args:
        task: What the model is taken to be for; None where nothing is estimated.
        rows: With a score.
        figures: In the order of the task's.
        why: For people, where there are none: what is lacking.
    """

    task: Task | None = None
    rows: int = 0
    figures: tuple[EstimatedFigure, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Scale:
    """How a version's scores are counted and what they mean.

    Args:
        kind: Under which name they are counted.
        spans: Where each bin begins and ends, within 0 and 1.
        positive: The place of the positive class among those that are counted; None where a score of one half decides.
        is_confidence: The score is that of the class that was told, whichever.
    """

    kind: str
    spans: tuple[tuple[float, float], ...]
    positive: int | None = None
    is_confidence: bool = False


def estimates_of(profile: Profile, window: ModelCounts, least_rows: int = LEAST_ROWS) -> WindowEstimates:
    """Estimate a window's figures of quality.

    Args:
        profile: The reference, with figures that labels showed.
        window: Counted by it.
        least_rows: Fewer say nothing.
    """
    found = _scale_of(profile)
    if isinstance(found, str):
        return WindowEstimates(why=found)
    task, scale = found
    counts = window.predictions.get(scale.kind)
    rows = 0 if counts is None else sum(counts.bins)
    if rows < least_rows:
        return WindowEstimates(task, rows, why=f"{rows} rows had a score, and fewer than {least_rows} say little.")
    line = profile.calibration
    reference = profile.counts()
    then, now = _estimated(scale, reference, line), _estimated(scale, window, line)
    # The same reference, with as many rows as its figures rest on, and as many as the window has.
    measured_on = int(profile.quality.get("rows", 0)) or sum(reference.predictions[scale.kind].bins)
    of_reference = _estimated(scale, reference, line, measured_on)
    of_as_many = _estimated(scale, reference, line, rows)
    figures = []
    for metric in ("accuracy",) if scale.is_confidence else METRICS[Task.BINARY]:
        baseline = profile.quality.get(metric)
        if baseline is None or metric not in now:
            continue
        before, after = then[metric].value, now[metric].value
        if before is None or after is None or abs(baseline - before) > _MOST_GAP:
            continue
        value = _inside(after + baseline - before)
        half = hypot(_half(now[metric]), _half(of_reference[metric]))
        estimate = replace(now[metric], value=value, interval=(_inside(value - half), _inside(value + half)), rows=rows)
        wide = hypot(_half(of_as_many[metric]), _half(of_reference[metric]))
        usual = Band(None if baseline <= wide else baseline - wide, None if baseline + wide >= 1 else baseline + wide)
        figures.append(EstimatedFigure(estimate, baseline, usual))
    if not any(each.estimate.metric == "accuracy" for each in figures):
        why = "On the reference rows the scores do not give back the accuracy that labels showed: they are no chances."
        return WindowEstimates(task, rows, why=why)
    return WindowEstimates(task, rows, tuple(figures))


def _scale_of(profile: Profile) -> tuple[Task, _Scale] | str:
    """How to read a profile's scores; a sentence where nothing can be estimated by it."""
    predictions, quality = profile.predictions, profile.quality
    if "mae" in quality or (predictions.value is not None and "accuracy" not in quality):
        return "The errors of a regression are not estimated: that needs whole rows, and none are kept."
    if "accuracy" not in quality:
        return "Nobody said what was true on the reference rows: make the profile with --target."
    if predictions.score is None:
        if isinstance(predictions.value, NumberProfile):
            # A model that answers the chance itself.
            return Task.BINARY, _Scale("value", _within(predictions.value.bins.spans()))
        return "The model tells no scores."
    spans = _within(pairwise((0.0, *predictions.score.bins.cuts, 1.0)))
    names = () if predictions.classes is None else predictions.classes.bins.names
    if "precision" in quality:
        positive = task_of(names, None, (), profile.said.positive).positive
        if positive in {"0", "false"}:
            return f"The scores are those of the other class than the positive one, {positive!r}."
        place = names.index(positive) if positive in names else None
        return Task.BINARY, _Scale("score", spans, place)
    if len(names) > 2:
        return Task.MULTICLASS, _Scale("score", spans, is_confidence=True)
    return "Which of the two classes the score is of is not known: make the profile with --positive."


def _within(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((_inside(low), _inside(high)) for low, high in spans)


def _estimated(
    scale: _Scale, counts: ModelCounts, line: Calibration | None, as_rows: int | None = None
) -> dict[str, Estimate]:
    """What a histogram gives by itself; of `as_rows` rows that lie alike, where not of as many as were counted."""
    bins = counts.predictions[scale.kind].bins
    whole = sum(bins)
    part = 1.0 if as_rows is None or not whole else as_rows / whole
    left = _said_positive(scale, counts, whole)
    rows: list[tuple[float, float, float, bool]] = []
    for (low, high), count in reversed(list(zip(scale.spans, bins, strict=True))):
        middle = (low + high) / 2
        chance = _chance(low, high, None if scale.is_confidence else line)
        if left is None:
            rows.append((middle, chance, part * count, scale.is_confidence or middle >= 0.5))
            continue
        # The highest scores are those that were called positive.
        positive = min(left, float(count))
        left -= positive
        rows += [(middle, chance, part * positive, True), (middle, chance, part * (count - positive), False)]
    kept = [row for row in rows if row[2] > 0]
    if not kept:
        return {}
    scores, chances, weights, said = zip(*kept, strict=True)
    return {each.metric: each for each in estimate_classes(chances, said, scores, weights)}


def _said_positive(scale: _Scale, counts: ModelCounts, whole: int) -> float | None:
    """How many of the rows with a score were called positive, as far as the classes say; None where they do not."""
    classes = counts.predictions.get("classes")
    if scale.positive is None or classes is None or not classes.known:
        return None
    return whole * classes.bins[scale.positive] / classes.known


def _chance(low: float, high: float, line: Calibration | None) -> float:
    """The mean chance of a bin's scores, taken as evenly spread in it."""
    if line is None:
        return (low + high) / 2
    width = (high - low) / _PIECES
    return sum(_inside(probability(line, low + (piece + 0.5) * width)) for piece in range(_PIECES)) / _PIECES


def _half(estimate: Estimate) -> float:
    return 0.0 if estimate.interval is None else (estimate.interval[1] - estimate.interval[0]) / 2


def _inside(value: float) -> float:
    return min(1.0, max(0.0, value))
