"""Counts what the model is asked and what it answers into the worker's slab, in time that no request waits for.

Every batch is kept when it was answered, which takes a microsecond or two. Batches wait in a bounded backlog and are
counted in slices of about 16,000 numbers, 20 ns each, when nothing else is to be done; in all at most `SHARE` of a
processor's time. Rows for which there is no room are dropped, the newest, and counted as dropped.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from podium.domain.frames import is_frame, is_table
from podium.domain.inputs.conversions import NUMPY_TYPES
from podium.domain.inputs.plan import InputPlan
from podium.domain.monitoring.batches import answers_of, columns_of, rows_at
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.features import Features
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.signature import DataType
from podium.transport.slab import SlabWriter, create_slab
from podium.worker.keeping import bytes_in, copied, every
from podium.worker.log import log_event
from podium.worker.planned import Group, PlannedInput
from podium.worker.rows import RowsDiffer, count_rows, merge

# A slice has about so many numbers: more rows at a time are cheaper, and hold up longer whoever comes meanwhile.
SLICE_NUMBERS = 16_384
FEWEST_ROWS, LARGEST_ROWS = 128, 1024
MOST_ROWS = 16 * LARGEST_ROWS
MOST_BATCHES = 4096
MOST_BYTES = 64 * 2**20
SHARE = 0.03

_BURST_NS = 100_000_000
_PATIENCE_NS = 100_000_000
_LAST_S = 0.3


class Taken(NamedTuple):
    """A batch that was answered and is to be counted.

    Args:
        rows: How many rows of it are kept.
        data: Groups of planned requests, or what the model was given.
        answer: What it answered.
        likeness: Batches that are equal in it may be put together; None with no other.
    """

    rows: int
    data: Any
    answer: Any
    likeness: int | None


class Slice(NamedTuple):
    """Rows to be counted in one go."""

    rows: int
    columns: Mapping[str, Any]
    predictions: Mapping[str, Any]


class OpenSlab(NamedTuple):
    """The descriptor of a slab, and the profile by which its cells are counted."""

    descriptor: int
    profile_id: str


PLANNED_LIKENESS = -1


class Book(Protocol):
    """What keeps account of rows: a slab."""

    def see(self, rows: int) -> None: ...

    def drop(self, rows: int) -> None: ...


class Counter(Protocol):
    """What takes slices of rows."""

    def add(self, rows: int, columns: Mapping[str, Any], predictions: Mapping[str, Any]) -> None: ...


class Tap:
    """The worker's counting of its model's rows.

    Args:
        book: Where rows are accounted for.
        counter: Counts them there, or takes them until there is a profile to count by.
        features: Which columns the model's input has; None takes them as they are.
        planned: Reads groups; None where the model has no input plan.
        clock: Nanoseconds that pass.
        spent: Nanoseconds of the processor that this thread took.
    """

    def __init__(
        self,
        book: Book,
        counter: Counter,
        features: Features | None,
        planned: PlannedInput | None,
        clock: Callable[[], int] = time.monotonic_ns,
        spent: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        self._book = book
        self._counter = counter
        self._features = features
        self._planned = planned
        self._records = None if planned is None else RecordColumns(planned.plan)
        self._clock, self._spent = clock, spent
        self._backlog: deque[Taken] = deque()
        self._slices: deque[Slice] = deque()
        self._rows = 0
        self._slice_rows = FEWEST_ROWS
        self._most_rows = MOST_ROWS
        self._oldest_ns = self._earned_at = clock()
        self._budget_ns = float(_BURST_NS)
        self._has_failed = False

    @property
    def is_sampling(self) -> bool:
        """Whether there is no profile to count by yet."""
        return not isinstance(self._book, SlabWriter)

    def count_by(self, profile: bytes) -> OpenSlab:
        """Count what comes from here on, and what waits, by this profile.

        Args:
            profile: Its text.

        Returns: Where that is counted; the descriptor is the caller's.

        Raises:
            InvalidProfile, Misconfigured, OSError: As `counting_by`.
        """
        opened, self._book, self._counter = counting_by(profile)
        self._book.see(self._rows + sum(piece.rows for piece in self._slices))
        return opened

    # ── what was answered

    def keep(self, data: Any) -> Any:
        """A copy of what the model is about to be given, for it may change what it gets; None where there is no room."""
        rows = count_rows(data)
        if rows is None:
            return None
        data = self._wanted_of(data, rows)
        self._weigh(bytes_in(data), rows)
        if not self._has_room(min(rows, self._most_rows)):
            return None
        if rows > self._most_rows:
            # An even sample of a batch that is larger than the backlog.
            data = rows_at(data, slice(None, None, -(-rows // self._most_rows)))
        if isinstance(data, dict):
            return {name: values.copy() if hasattr(values, "copy") else values for name, values in data.items()}
        return data.copy() if isinstance(data, np.ndarray | list) or is_table(data) else None

    def take(self, rows: int, kept: Any, answer: Any, likeness: int | None = None) -> None:
        """The model has answered so many rows; their answers are about to leave.

        Args:
            rows: How many there were.
            kept: What `keep` gave for them.
            answer: All of them.
            likeness: Batches that are equal in it may be put together.
        """
        size = 0 if kept is None else count_rows(kept) or 0
        if 0 < size < rows:
            answer = every(answer, rows, -(-rows // self._most_rows))
        self._put(rows, Taken(size, kept, copied(answer), likeness))

    def take_groups(self, groups: Sequence[Group], rows: int, answer: Any) -> None:
        """The model has answered these; their answers are about to leave."""
        self._weigh(sum(group.size_bytes for group in groups), rows)
        size = rows if self._has_room(rows) else 0
        self._put(rows, Taken(size, groups, copied(answer), PLANNED_LIKENESS))

    def _put(self, rows: int, taken: Taken) -> None:
        # Before anybody has the answer: then whatever was answered was seen, whenever this process is killed.
        self._book.see(rows)
        self._book.drop(rows - taken.rows)
        if taken.rows:
            if not self._backlog:
                self._oldest_ns = self._clock()
            self._backlog.append(taken)
            self._rows += taken.rows

    def _has_room(self, rows: int) -> bool:
        return len(self._backlog) < MOST_BATCHES and (self._rows + rows <= self._most_rows or not self._rows)

    def _weigh(self, size: int, rows: int) -> None:
        """How many rows of this size may wait: images are large, and a worker's memory is its model's."""
        self._most_rows = max(1, min(MOST_ROWS, MOST_BYTES * rows // max(size, 1)))

    def _wanted_of(self, data: Any, rows: int) -> Any:
        """What of a model's input has columns: of images nothing is copied."""
        features = self._features
        if features is None or is_table(data):
            return data
        if not features.columns:
            return np.empty((rows, 0), bool)
        if isinstance(data, dict):
            sources = {feature.source for feature in features.columns}
            return {name: values for name, values in data.items() if name in sources}
        return data

    # ── when it is counted

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be counted."""
        return not self._backlog and not self._slices

    @property
    def is_crowded(self) -> bool:
        """Whether rows are going to be dropped unless some are counted although requests wait."""
        return self._rows > self._most_rows // 2 or len(self._backlog) > MOST_BATCHES // 2

    def spare(self, is_urgent: bool = False) -> float:
        """There is time to count a slice. Says after how many seconds there is something to do again; 0: at once.

        What is less than a slice waits for more, unless it has waited long.
        """
        now = self._clock()
        self._earn(now)
        if self._budget_ns <= 0:
            return float(max(-self._budget_ns / SHARE, 1e6)) / 1e9
        waits_ns = now - self._oldest_ns
        is_due = bool(self._slices) or self._rows >= self._slice_rows or waits_ns >= _PATIENCE_NS or is_urgent
        if not is_due:
            return float(_PATIENCE_NS - waits_ns) / 1e9
        self._count_timed()
        return 0

    def finish(self) -> None:
        """The worker ends: count what is left, for a moment, and drop the rest."""
        ends = self._clock() + int(_LAST_S * 1e9)
        while not self.is_idle and self._clock() < ends:
            self._count()
        left = sum(taken.rows for taken in self._backlog) + sum(piece.rows for piece in self._slices)
        self._book.drop(left)
        self._backlog.clear()
        self._slices.clear()

    def _earn(self, now: int) -> None:
        self._budget_ns = min(self._budget_ns + (now - self._earned_at) * SHARE, _BURST_NS)
        self._earned_at = now

    def _count_timed(self) -> None:
        began = self._spent()
        self._count()
        self._budget_ns -= self._spent() - began

    # ── counting

    def _count(self) -> None:
        if not self._slices:
            self._cut(self._gather())
            self._oldest_ns = self._clock()
            if not self._slices:
                return
        piece = self._slices.popleft()
        with self._dropping(piece.rows):
            self._counter.add(*piece)

    def _gather(self) -> list[Taken]:
        """Batches that may be put together, up to a slice."""
        first = self._backlog.popleft()
        found, rows = [first], first.rows
        while self._backlog and first.likeness is not None and rows < self._slice_rows:
            if self._backlog[0].likeness != first.likeness:
                break
            found.append(self._backlog.popleft())
            rows += found[-1].rows
        self._rows -= rows
        return found

    def _cut(self, batches: list[Taken]) -> None:
        """Batches as slices of columns."""
        try:
            self._slices.extend(self._read(batches))
        except RowsDiffer:
            for each in batches:
                with self._dropping(each.rows):
                    self._slices.extend(self._read([each]))
        except Exception as error:  # noqa: BLE001 - a model's objects are read here
            self._give_up(sum(each.rows for each in batches), error)

    def _read(self, batches: list[Taken]) -> list[Slice]:
        rows = sum(each.rows for each in batches)
        answer = batches[0].answer if len(batches) == 1 else _joined([each.answer for each in batches])
        if batches[0].likeness == PLANNED_LIKENESS:
            inputs = self._records_of([group for each in batches for group in each.data])
            columns = inputs if self._features is None else self._features.taken_from(inputs)
        else:
            data = batches[0].data if len(batches) == 1 else merge([each.data for each in batches])
            columns = self._columns_of(data)
        predictions = answers_of(answer).by_kind()
        # Evenly: the few rows beyond a whole slice would cost as much again.
        size = -(-rows // max(rows // self._slice_rows, 1))
        width = len(columns) + len(predictions)
        self._slice_rows = min(max(SLICE_NUMBERS // max(width, 1), FEWEST_ROWS), LARGEST_ROWS)
        return [
            Slice(
                min(size, rows - start),
                {name: values[start : start + size] for name, values in columns.items()},
                {name: values[start : start + size] for name, values in predictions.items()},
            )
            for start in range(0, rows, size)
        ]

    def _columns_of(self, data: Any) -> Mapping[str, Any]:
        if is_frame(data) and self._features is not None:
            return self._features.taken_from({str(label): values for label, values in data.items()})
        return columns_of(data, self._features)

    def _records_of(self, groups: Sequence[Group]) -> Any:
        assert self._planned is not None
        assert self._records is not None
        return self._records.of(*self._planned.merged(groups))

    @contextlib.contextmanager
    def _dropping(self, rows: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a model's objects do when they are read, it goes on serving
            self._give_up(rows, error)

    def _give_up(self, rows: int, error: Exception) -> None:
        self._book.drop(rows)
        if not self._has_failed:
            self._has_failed = True
            log_event("rows_not_counted", rows=rows, error=type(error).__name__)


class RecordColumns:
    """The records and texts of an input plan as columns and tensors by name, where they lie.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: InputPlan) -> None:
        fields = [(position, plan.fields[position]) for position in plan.record if position not in plan.texts]
        is_columns = plan.kind == "columns"
        self._names = [field.name for _, field in fields]
        types = [NUMPY_TYPES[DataType(field.type)] if is_columns else np.dtype(field.type) for _, field in fields]
        parts = [(f"f{i}", each.newbyteorder("<"), fields[i][1].shape) for i, each in enumerate(types)]
        self._record = np.dtype(parts)
        self._texts = [str(plan.fields[position].name) for position in plan.texts]

    def of(self, rows: int, block: bytes | memoryview, texts: Sequence[str]) -> dict[str | None, Any]:
        """The columns of so many rows."""
        found: dict[str | None, Any] = {}
        if self._names:
            records = np.frombuffer(block, self._record, rows)
            found = {name: records[f"f{i}"] for i, name in enumerate(self._names)}
        step = len(self._texts)
        return found | {name: texts[i::step] for i, name in enumerate(self._texts)}


def counting_by(text: bytes) -> tuple[OpenSlab, SlabWriter, BatchCounter]:
    """A new slab, and what counts in it.

    Args:
        text: Of a profile.

    Raises:
        InvalidProfile: It is none.
        Misconfigured: Its categories are hashed, and there is no key here.
        OSError: There is no memory for it.
    """
    profile = read_profile(text)
    layout = Layout(profile)
    descriptor = create_slab(profile.profile_id, layout.size)
    slab = SlabWriter(descriptor)
    counter = BatchCounter(layout, np.frombuffer(slab.cells, np.int64), time.monotonic)
    return OpenSlab(descriptor, profile.profile_id), slab, counter


def _joined(answers: list[Any]) -> Any:
    """Answers to several batches as one.

    Raises:
        RowsDiffer: They are of several kinds.
    """
    if all(isinstance(each, list) for each in answers):
        return [row for each in answers for row in each]
    try:
        return merge(answers)
    except (TypeError, ValueError, KeyError) as error:
        raise RowsDiffer("answers of several kinds") from error
