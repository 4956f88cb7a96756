"""The rows behind the panels of quality. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from podium.dashboard.charts.lines import Series
from podium.dashboard.pages import Table
from podium.domain.monitoring.quality.calibration import ReliabilityPoint, reliability_curve
from podium.domain.monitoring.quality.tallies import WEIGHT_UNITS, ClassTally, NumberTally
from podium.monitoring.store.quality import QualityPoint

_MOST_CLASSES = 9


def figures_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Of the whole span, measured and estimated."""
    columns = ("metric", "variant", "is_estimated", "value", "low", "high", "rows", "baseline", "limit", "verdict")
    return Table("figures", columns, [[entry[name] for name in columns] for entry in entries])


def series_table(series: Sequence[Series], metric: str) -> Table:
    """What is drawn of one figure."""
    rows = [
        [int(when), metric, each.label, each.is_dashed, value, low, high]
        for each in series
        for (when, value), (_, low), (_, high) in zip(each.points, each.low, each.high, strict=True)
        if value is not None
    ]
    return Table("quality", ("start", "metric", "line", "is_estimated", "value", "low", "high"), rows)


def labels_table(points: Sequence[QualityPoint]) -> Table:
    """How many answers were kept, and how many of them have a label."""
    columns = ("start", "length_s", "variant", "predicted", "labelled", "delay_p50_s", "delay_p95_s")
    rows = [
        [
            each.start, each.length_s, each.variant, each.labels.predicted, each.labels.matched, each.labels.delay_s(0.5),
            each.labels.delay_s(0.95),
        ]
        for each in points
    ]  # fmt: skip
    return Table("labels", columns, rows)


def confusion_table(tally: ClassTally | NumberTally | None) -> Table:
    """What was said of what was true."""
    rows: list[list[Any]] = []
    if isinstance(tally, ClassTally):
        names, cells = confusion_cells(tally)
        rows = [[truth, said, cells[i][j]] for i, truth in enumerate(names) for j, said in enumerate(names)]
    return Table("confusion", ("true", "said", "rows"), rows)


def calibration_table(tally: ClassTally | NumberTally | None) -> Table:
    """How often scores came true."""
    points: Iterable[ReliabilityPoint] = reliability_curve(tally) if isinstance(tally, ClassTally) else ()
    return Table("calibration", ("score", "share", "rows"), [[each.score, each.share, each.rows] for each in points])


def confusion_cells(tally: ClassTally) -> tuple[list[str], list[list[float]]]:
    """The classes with most rows, by name, and all others together."""
    names = [*tally.classes, "other"]
    weight = [0] * len(names)
    for (truth, said), units in tally.confusion.items():
        weight[truth] += units
        weight[said] += units
    order = sorted(range(len(names)), key=lambda place: -weight[place])
    shown = sorted(place for place in order[:_MOST_CLASSES] if weight[place])
    place_of = {place: number for number, place in enumerate(shown)}
    has_rest = any(weight[place] for place in range(len(names)) if place not in place_of)
    size = len(shown) + has_rest
    cells = [[0.0] * size for _ in range(size)]
    for (truth, said), units in tally.confusion.items():
        cells[place_of.get(truth, size - 1)][place_of.get(said, size - 1)] += units / WEIGHT_UNITS
    return [names[place] for place in shown] + ["all others"] * has_rest, cells
