"""What the monitor's database keeps of quality: predictions that labels may come for, labels without one, and tallies.

A row of `quality` says what was counted of one variant's predictions of one stretch, for five minutes and for hours; late
labels count for the time of their prediction. What a tally counts depends on what the model is for (`quality_tasks`): a
tally is worked out of the kept predictions again whenever that is found to be something else.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from podium.domain.monitoring.quality.figures import WIDTH_S
from podium.domain.monitoring.quality.observing import CountedAs, SeenRows
from podium.domain.monitoring.quality.storing import tally_of
from podium.domain.monitoring.quality.tallies import ClassTally, LabelTally, NumberTally
from podium.domain.monitoring.quality.tasks import SaidTask, Task, TaskGuess
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.errors import InvalidInput
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.writing import VersionKey

LENGTHS_S = (WIDTH_S, HOUR_S)

Figures = ClassTally | NumberTally


@dataclass(frozen=True, slots=True)
class KeptPrediction:
    """One row of an answer, and what was true, where somebody said so.

    Args:
        place: Which row of its answer.
        rows: How many that has.
        prediction, label: As JSON has them; a label is None before it came.
        score: The probability that came with the prediction.
        chances: That of each class by its name, where all of them came.
        at, labelled_at: Seconds since 1970.
    """

    request_id: str
    key: VersionKey
    place: int
    rows: int
    variant: str
    at: float
    prediction: Any
    score: float | None
    label: Any = None
    labelled_at: float | None = None
    weight: float = 1.0
    chances: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class ParkedLabel:
    """A label whose prediction is not known yet.

    Args:
        place: For which row of the answer.
        rows: How many the answer must have; 0: whoever sent it did not say.
        corrected, duplicate: Earlier ones that this one replaced, and that it repeated.
    """

    place: int
    rows: int
    at: float
    label: Any
    weight: float
    corrected: int = 0
    duplicate: int = 0


@dataclass(frozen=True, slots=True)
class KeptTask:
    """What is known of a version's task.

    Args:
        observed: By what.
        chosen: What it is taken for; None before any label came.
        looked_at: After how many labels that was chosen.
        last_label_at: When the last label came that was joined.
        unreadable: Answers of which nothing could be kept.
        why: What the last of those was, for people.
    """

    observed: SeenRows = field(default_factory=SeenRows)
    chosen: CountedAs | None = None
    looked_at: int = 0
    last_label_at: float | None = None
    unreadable: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class QualityPoint:
    """What is known of one variant's predictions of one stretch of time.

    Args:
        start: When it begins.
        length_s: How long it is.
        variant: Which; empty where traffic was not split.
        tally: Of the predictions that have a label; None where there are none, or nobody knows the task.
        labels: How many predictions and labels there were.
    """

    start: int
    length_s: int
    variant: str
    tally: Figures | None
    labels: LabelTally = field(default_factory=LabelTally)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of a version's predictions got a label, and how long that took."""

    predicted: int = 0
    labelled: int = 0
    delay_p50_s: float | None = None
    delay_p95_s: float | None = None
    last_label_at: float | None = None


def quality_of(connection: StoreConnection, key: VersionKey, span: Span, step_s: int) -> list[QualityPoint]:
    """A version's quality in steps, oldest first, by variant; a step in which nothing was predicted is not there.

    Args:
        connection: Of `MonitorStore.reading`.
        key: Which version.
        span: From when to when; begins and ends where a step does.
        step_s: A multiple of five minutes (kept for two days), or of an hour.

    Raises:
        InvalidInput: The steps are no such multiple, or the stretch is not made of whole ones.
    """
    found: dict[tuple[int, str], QualityPoint] = {}
    for point in _points(connection, key, span, _length(span, step_s)):
        place = ((point.start - span.start) // step_s, point.variant)
        start = span.start + place[0] * step_s
        before = found.get(place, QualityPoint(start, step_s, point.variant, None))
        found[place] = added(before, point)
    return [found[place] for place in sorted(found)]


def labels_of(connection: StoreConnection, key: VersionKey, span: Span) -> dict[str, LabelTally]:
    """How many predictions and labels there were, by variant."""
    found: dict[str, LabelTally] = {}
    rows = connection.execute(
        "SELECT variant, labels FROM quality "
        "WHERE model = ? AND version = ? AND length_s = ? AND start >= ? AND start < ? ORDER BY variant, start",
        [key.model, key.version, _length(span, span.length_s), span.start, span.end],
    )
    for variant, text in rows.fetchall():
        found[variant] = found.get(variant, LabelTally()) + _labels(text)
    return found


def coverage(labels: LabelTally, last_label_at: float | None) -> Coverage:
    """How many predictions have a label by now, of what was counted."""
    return Coverage(labels.predicted, labels.matched, labels.delay_s(0.5), labels.delay_s(0.95), last_label_at)


def kept_since(connection: StoreConnection) -> float | None:
    """Of when the oldest prediction is that is kept, of any version, as the oldest are given up first; None without any."""
    (at,) = connection.execute("SELECT min(at) FROM predictions").fetchone()
    return None if at is None else float(at)


def added(one: QualityPoint, other: QualityPoint) -> QualityPoint:
    """Both together, at the first one's place."""
    tally = one.tally if other.tally is None else other.tally if one.tally is None else cast("Any", one.tally) + other.tally
    return QualityPoint(one.start, one.length_s, one.variant, tally, one.labels + other.labels)


def kept_task(connection: StoreConnection, key: VersionKey) -> KeptTask:
    """What is known of a version's task."""
    found = connection.execute(
        "SELECT observed, chosen, looked_at, last_label_at, unreadable, why FROM quality_tasks "
        "WHERE model = ? AND version = ?",
        [key.model, key.version],
    ).fetchone()
    if found is None:
        return KeptTask()
    observed, chosen, *rest = found
    return KeptTask(_observed(json.loads(observed)), None if chosen is None else _chosen(json.loads(chosen)), *rest)


def predictions_of(
    connection: StoreConnection, request_id: str, model: str | None = None, place: int | None = None
) -> list[KeptPrediction]:
    """What is kept of a request's answer, row by row; with a place of its first row and of that one alone."""
    said = {"request_id = ?": request_id, "model = ?": model, "place IN (0, ?)": place}
    known = {condition: value for condition, value in said.items() if value is not None}
    rows = connection.execute(f"{_SELECT} WHERE {' AND '.join(known)} ORDER BY model, place", [*known.values()])
    return [_prediction(each) for each in rows.fetchall()]


def labelled_predictions(connection: StoreConnection, key: VersionKey) -> Iterator[KeptPrediction]:
    """All of a version that have a label."""
    rows = connection.execute(
        _SELECT + " WHERE model = ? AND version = ? AND label IS NOT NULL",
        [key.model, key.version],
    )
    return map(_prediction, rows)


def parked_labels(connection: StoreConnection, model: str, request_id: str) -> list[ParkedLabel]:
    """Labels that wait for this request's answer, those that came first before the others."""
    return _parked(connection, "ORDER BY at, place, rows", [request_id, model])


def parked_like(
    connection: StoreConnection, model: str, request_id: str, labels: Sequence[ParkedLabel]
) -> list[ParkedLabel]:
    """Of these those that one of some labels, which came together, takes the place of: there may be very many others."""
    first = labels[0]
    if len(labels) == 1:
        return _parked(connection, "AND rows = ? AND place = ?", [request_id, model, first.rows, first.place])
    return _parked(connection, "AND rows = ?", [request_id, model, first.rows])


def _parked(connection: StoreConnection, more: str, values: Sequence[Any]) -> list[ParkedLabel]:
    rows = connection.execute(
        "SELECT place, rows, at, label, weight, corrected, duplicate FROM parked_labels "  # noqa: S608
        f"WHERE request_id = ? AND model = ? {more}",
        values,
    )
    return [ParkedLabel(place, count, at, json.loads(label), *rest) for place, count, at, label, *rest in rows.fetchall()]


def point_at(connection: StoreConnection, key: VersionKey, variant: str, length_s: int, start: int) -> QualityPoint | None:
    """What is known of a stretch; None where that is nothing."""
    found = connection.execute(
        "SELECT tally, labels FROM quality WHERE model = ? AND version = ? AND variant = ? AND length_s = ? AND start = ?",
        [key.model, key.version, variant, length_s, start],
    ).fetchone()
    return None if found is None else _point(start, length_s, variant, *found)


_SELECT = (
    "SELECT request_id, model, version, place, rows, variant, at, prediction, score, label, labelled_at, weight, "
    "chances FROM predictions"
)


def _prediction(row: Any) -> KeptPrediction:
    request_id, model, version, place, rows, variant, at, prediction, score, label, labelled_at, weight, chances = row
    told, true = json.loads(prediction), None if label is None else json.loads(label)
    key = VersionKey(model, version)
    shares = None if chances is None else json.loads(chances)
    return KeptPrediction(request_id, key, place, rows, variant, at, told, score, true, labelled_at, weight, shares)


def _points(connection: StoreConnection, key: VersionKey, span: Span, length_s: int) -> Iterator[QualityPoint]:
    rows = connection.execute(
        "SELECT start, length_s, variant, tally, labels FROM quality "
        "WHERE model = ? AND version = ? AND length_s = ? AND start >= ? AND start < ? ORDER BY start, variant",
        [key.model, key.version, length_s, span.start, span.end],
    )
    return (_point(*row) for row in rows)


def _point(start: int, length_s: int, variant: str, tally: str | None, labels: str) -> QualityPoint:
    counted = None if tally is None else cast("Figures", tally_of(json.loads(tally)))
    return QualityPoint(start, length_s, variant, counted, _labels(labels))


def _labels(text: str) -> LabelTally:
    return cast("LabelTally", tally_of(json.loads(text)))


def _observed(document: Mapping[str, Any]) -> SeenRows:
    span, classes = document["span"], document.get("classes", ())
    return SeenRows(**{**document, "span": None if span is None else tuple(span), "classes": tuple(classes)})


def _chosen(document: Mapping[str, Any]) -> CountedAs:
    guess = document["guess"]
    task = None if guess["task"] is None else Task(guess["task"])
    found = TaskGuess(task, guess["why"], tuple(guess["classes"]), guess["positive"])
    return CountedAs(found, document["is_classes"], SaidTask.of(**document.get("said", {"task": None, "positive": None})))


def _length(span: Span, step_s: int) -> int:
    """Which of the kept lengths make up these steps."""
    length_s = HOUR_S if not (step_s % HOUR_S or span.start % HOUR_S) else WIDTH_S
    if step_s < 1 or step_s % length_s or span.start % length_s or span.length_s % step_s:
        raise InvalidInput(
            f"Quality is kept for each {WIDTH_S} s and each hour: {span.start} to {span.end} in steps of {step_s} s is not "
            "made of whole ones."
        )
    return length_s
