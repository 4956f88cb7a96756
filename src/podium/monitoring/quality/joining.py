"""Predictions and labels, in whichever order they come, made into rows that are kept and tallies of them.

The same predictions and labels come to the same tallies, whoever came first, whatever came twice, and however often the
monitor was started again in between: each record is one step on what the database has, in the transaction that keeps it.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, cast

from podium.domain.monitoring.quality.figures import WIDTH_S
from podium.domain.monitoring.quality.observing import CountedAs, chosen_task
from podium.domain.monitoring.quality.tallies import (
    Judged,
    LabelTally,
    class_name,
    delays_of,
    tally_classes,
    tally_numbers,
)
from podium.domain.monitoring.quality.tasks import SaidTask, Task
from podium.domain.monitoring.values import LONGEST_NAME
from podium.domain.monitoring.windows import HOUR_S
from podium.errors import PodiumError
from podium.monitoring.quality.answers import MOST_ROWS, UnreadableAnswer, rows_of
from podium.monitoring.store import quality as kept
from podium.monitoring.store import quality_writing as written
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.quality import LENGTHS_S, Figures, KeptPrediction, KeptTask, ParkedLabel, QualityPoint
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.remembered import Labelled, Remembered

MOST_ROWS_AT_ONCE = 20_000
_CHUNK = 20_000
_LARGEST_WEIGHT = 1 << 20
_log = logging.getLogger("podium.monitor")


@dataclass(slots=True)
class _Stretch:
    """What a batch of records changes of one variant's five minutes."""

    added: list[KeptPrediction] = field(default_factory=list)
    removed: list[KeptPrediction] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    delays: list[float] = field(default_factory=list)

    @property
    def labels(self) -> LabelTally:
        """`counts` are its fields, counted one by one."""
        return LabelTally(**self.counts, delays=delays_of(self.delays))


@dataclass(slots=True)
class _Version:
    """And of a version."""

    stretches: dict[tuple[str, int], _Stretch] = field(default_factory=lambda: defaultdict(_Stretch))
    predicted: list[tuple[Any, float | None]] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    labels: list[Any] = field(default_factory=list)
    last_label_at: float | None = None
    unreadable: int = 0
    why: str = ""


class Joining:
    """One batch of records, within one transaction.

    Args:
        connection: Its.
        now: Seconds since 1970.
        most_rows: So many rows of answers are kept; of the other answers nothing is.
        said: What models are for, where somebody said it; of others what was said before stands.

    Attributes:
        rows: That were kept.
    """

    def __init__(
        self,
        connection: StoreConnection,
        now: float,
        most_rows: int = MOST_ROWS_AT_ONCE,
        said: Mapping[str, SaidTask] | None = None,
    ) -> None:
        self.rows = 0
        self._said = said or {}
        self._connection = connection
        self._now = now
        self._most_rows = most_rows
        self._versions: dict[VersionKey, _Version] = defaultdict(_Version)

    def join(self, records: Iterable[Remembered | Labelled]) -> None:
        """Take in what came, in its order, and write down what that makes of the tallies."""
        for record in records:
            if isinstance(record, Remembered):
                self._predicted(record)
            else:
                self._labelled(record)
        for model, labels in written.forget_parked(self._connection, self._now).items():
            self._nobodys(model, "unmatched", labels.unmatched)
            self._nobodys(model, "duplicate", labels.duplicate)
        for key, version in self._versions.items():
            self._write(key, version)

    def choose_anew(self, key: VersionKey) -> bool:
        """Count a version again where somebody now says that it is for something else; whether it was."""
        before = kept.kept_task(self._connection, key)
        if before.chosen is None or self._said.get(key.model, before.chosen.said) == before.chosen.said:
            return False
        task = self._choose(key, before)
        written.put_task(self._connection, key, task)
        rebuild(self._connection, key, task.chosen)
        return True

    # ── records

    def _predicted(self, record: Remembered) -> None:
        key = VersionKey(record.model, record.version)
        version = self._versions[key]
        if self.rows >= self._most_rows:
            version.unreadable += 1
            version.why = f"More than {MOST_ROWS_AT_ONCE} rows came at once."
            return
        if kept.predictions_of(self._connection, record.request_id, record.model):
            return
        try:
            answer = rows_of(record.content_type, record.answer)
        except UnreadableAnswer as error:
            version.unreadable, version.why = version.unreadable + 1, str(error)
            return
        rows = [
            KeptPrediction(
                *(record.request_id, key, place, answer.count, record.variant, record.at),
                *(row.prediction, row.score),
                chances=row.chances,
            )
            for place, row in enumerate(answer.first)
        ]
        self.rows += len(rows)
        written.put_predictions(self._connection, rows)
        stretch = self._stretch(rows[0])
        stretch.counts["predicted"] += len(rows)
        version.predicted += [(row.prediction, row.score) for row in rows]
        version.classes.update(name for row in rows for name in row.chances or ())
        waiting = kept.parked_labels(self._connection, record.model, record.request_id)
        if waiting:
            written.unpark(self._connection, record.model, record.request_id)
            self._apply(record.model, rows, waiting)

    def _labelled(self, record: Labelled) -> None:
        try:
            labels = labels_in(record)
        except ValueError:
            self._nobodys(record.model, "invalid")
            return
        # One answer may have very many rows: of a label of one of them no other is read.
        rows = kept.predictions_of(self._connection, record.request_id, record.model, record.row)
        if rows:
            self._apply(record.model, rows, labels)
            return
        if not labels:
            return
        likes = kept.parked_like(self._connection, record.model, record.request_id, labels)
        waiting = {(each.place, each.rows): each for each in likes}
        for label in labels:
            written.park(
                self._connection, record.model, record.request_id, _after(waiting.get((label.place, label.rows)), label)
            )

    def _apply(self, model: str, rows: Sequence[KeptPrediction], labels: Sequence[ParkedLabel]) -> None:
        """Say of rows that are kept what was true."""
        changed, at_place, version = [], {row.place: row for row in rows}, self._versions[rows[0].key]
        for label in labels:
            if label.place >= rows[0].rows or label.rows not in {0, rows[0].rows}:
                self._nobodys(model, "invalid")
                continue
            row = at_place.get(label.place)
            if row is None:
                self._nobodys(model, "unmatched")
                continue
            stretch = self._stretch(row)
            stretch.counts["corrected"] += label.corrected
            stretch.counts["duplicate"] += label.duplicate
            if row.label is not None and _is_same(row.label, row.weight, label):
                stretch.counts["duplicate"] += 1
                continue
            after = replace(row, label=label.label, labelled_at=label.at, weight=label.weight)
            if row.label is None:
                stretch.counts["matched"] += 1
                stretch.delays.append(label.at - row.at)
            else:
                stretch.counts["corrected"] += 1
                stretch.removed.append(row)
            stretch.added.append(after)
            version.labels.append(label.label)
            version.last_label_at = max(version.last_label_at or 0.0, label.at)
            at_place[label.place] = after
            changed.append(after)
        written.put_labels(self._connection, changed)

    def _nobodys(self, model: str, result: str, count: int = 1) -> None:
        """Count reports that belong to no version."""
        stretch = self._versions[VersionKey(model, "")].stretches["", _slot(self._now)]
        stretch.counts[result] += count

    def _stretch(self, row: KeptPrediction) -> _Stretch:
        return self._versions[row.key].stretches[row.variant, _slot(row.at)]

    # ── tallies

    def _write(self, key: VersionKey, version: _Version) -> None:
        if not key.version:
            self._write_stretches(key, version, None)
            return
        before = kept.kept_task(self._connection, key)
        task = self._task(key, before, version)
        written.put_task(self._connection, key, task)
        if task.chosen != before.chosen:
            self._write_stretches(key, version, None)
            rebuild(self._connection, key, task.chosen)
            return
        try:
            self._write_stretches(key, version, task.chosen)
        except ValueError as error:
            # A clock that was set back, or a stretch that was given up: what is kept says all that can be said.
            _log.warning("quality of version %s of %s is counted again: %s", key.version, key.model, error)
            self._write_stretches(key, version, None)
            rebuild(self._connection, key, task.chosen)

    def _task(self, key: VersionKey, before: KeptTask, version: _Version) -> KeptTask:
        observed = before.observed.with_predictions(version.predicted, version.classes).with_labels(version.labels)
        known = [each for each in (before.last_label_at, version.last_label_at) if each is not None]
        task = replace(
            before,
            observed=observed,
            last_label_at=max(known, default=None),
            unreadable=before.unreadable + version.unreadable,
            why=version.why or before.why,
        )
        is_open = before.chosen is None or before.chosen.guess.task is None
        if not version.labels or (not is_open and observed.labelled < 2 * before.looked_at):
            return task
        return self._choose(key, task)

    def _choose(self, key: VersionKey, task: KeptTask) -> KeptTask:
        try:
            profile = reading.profile_of(self._connection, key)
        except PodiumError:
            profile = None
        said = self._said.get(key.model) or (SaidTask() if task.chosen is None else task.chosen.said)
        return replace(task, chosen=chosen_task(task.observed, profile, said), looked_at=task.observed.labelled)

    def _write_stretches(self, key: VersionKey, version: _Version, chosen: CountedAs | None) -> None:
        """Write what a batch changes; tallies only where it is known what they count."""
        found: dict[tuple[str, int, int], QualityPoint] = {}
        for (variant, slot), stretch in version.stretches.items():
            labels = stretch.labels
            added, removed = tally_of(chosen, stretch.added), tally_of(chosen, stretch.removed)
            for length_s in LENGTHS_S:
                place = variant, length_s, slot - slot % length_s
                if length_s < HOUR_S and place[2] < self._now - written.SHORT_KEPT_S:
                    continue
                before = found.get(place) or kept.point_at(self._connection, key, *place)
                before = before or QualityPoint(place[2], length_s, variant, None)
                tally = _sum(_sum(before.tally, added), removed, -1)
                more = QualityPoint(place[2], length_s, variant, None, labels)
                found[place] = replace(kept.added(before, more), tally=tally)
        for point in found.values():
            written.put_point(self._connection, key, point)


def rebuild(connection: StoreConnection, key: VersionKey, chosen: CountedAs | None) -> None:
    """Work out a version's tallies again from the predictions that are kept, as the task is taken for another one."""
    written.forget_tallies(connection, key)
    tallies: dict[tuple[str, int], Figures] = {}
    rows = iter(kept.labelled_predictions(connection, key))
    while chunk := list(islice(rows, _CHUNK)):
        by_stretch = defaultdict(list)
        for row in chunk:
            by_stretch[row.variant, _slot(row.at)].append(row)
        for place, its in by_stretch.items():
            found = _sum(tallies.get(place), tally_of(chosen, its))
            if found is not None:
                tallies[place] = found
    for length_s in LENGTHS_S:
        sums: dict[tuple[str, int], Figures | None] = {}
        for (variant, slot), tally in tallies.items():
            place = variant, slot - slot % length_s
            sums[place] = _sum(sums.get(place), tally)
        for (variant, start), total in sums.items():
            point = kept.point_at(connection, key, variant, length_s, start)
            if point is not None:
                written.put_point(connection, key, replace(point, tally=total))


def tally_of(chosen: CountedAs | None, rows: Sequence[KeptPrediction]) -> Figures | None:
    """The tally of rows with labels; None where there are none, or nobody knows what the model is for."""
    if chosen is None or chosen.guess.task is None or not rows:
        return None
    judged: list[Judged] = [chosen.judged(row.prediction, row.score, row.label, row.weight, row.chances) for row in rows]
    if chosen.guess.task is Task.REGRESSION:
        return tally_numbers(judged)
    return tally_classes(chosen.guess.classes, chosen.guess.positive, judged)


def labels_in(record: Labelled) -> list[ParkedLabel]:
    """What a record says of which rows; a null says nothing yet.

    Raises:
        ValueError: It is no label: neither a number, a truth value nor a short text, or its weight is none.
    """
    said = json.loads(record.label)
    if not 1 / _LARGEST_WEIGHT <= record.weight <= _LARGEST_WEIGHT:
        raise ValueError("weight")
    if record.row is not None:
        if record.row < 0:
            raise ValueError("row")
        parts, rows = [(record.row, said)], 0
    elif isinstance(said, list):
        parts, rows = list(enumerate(said[:MOST_ROWS])), len(said)
    else:
        parts, rows = [(0, said)], 1
    found = []
    for place, label in parts:
        if label is None:
            continue
        if not isinstance(label, bool | int | float | str) or (isinstance(label, str) and len(label) > LONGEST_NAME):
            raise ValueError("label")
        if class_name(label) is None:
            raise ValueError("label")
        found.append(ParkedLabel(place, rows, record.at, label, record.weight))
    return found


def _after(before: ParkedLabel | None, label: ParkedLabel) -> ParkedLabel:
    """A label that waits in place of another one."""
    if before is None:
        return label
    is_same = _is_same(before.label, before.weight, label)
    return replace(label, corrected=before.corrected + (not is_same), duplicate=before.duplicate + is_same)


def _is_same(label: Any, weight: float, other: ParkedLabel) -> bool:
    return class_name(label) == class_name(other.label) and weight == other.weight


def _slot(at: float) -> int:
    return int(at // WIDTH_S) * WIDTH_S


def _sum(one: Figures | None, other: Figures | None, sign: int = 1) -> Figures | None:
    if other is None:
        return one
    if one is None:
        if sign < 0:
            raise ValueError("What was counted before is gone.")
        return other
    return cast("Figures", cast("Any", one) + other if sign > 0 else cast("Any", one) - other)
