"""Counts what the model is asked and what it answers into the worker's slab, in time that no request waits for.

Every batch is seen before its answers leave, which takes half a microsecond, and copied after they have left and before
the model is called again, which takes one or two. Batches wait in a bounded backlog and are
counted in slices of about 16,000 numbers, 20 ns each, when nothing else is to be done; in all at most `SHARE` of a
processor's time. Rows for which there is no room are dropped, the newest, and counted as dropped.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from podium.domain.frames import is_frame, is_table
from podium.domain.inputs.plan import InputPlan
from podium.domain.monitoring.batches import answers_of, columns_of, rows_at
from podium.domain.monitoring.features import Features
from podium.transport.slab import SlabWriter
from podium.worker.books import Counter, OpenSlab, RowBook, counting_by
from podium.worker.keeping import bytes_in, copied, every
from podium.worker.log import log_event
from podium.worker.piles import Pile, RecordColumns
from podium.worker.planned import Group
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
        data: What the model was given.
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


class Tap:
    """The worker's counting of its model's rows.

    Args:
        book: Where rows are accounted for.
        counter: Counts them there, or takes them until there is a profile to count by.
        features: Which columns the model's input has; None takes them as they are.
        plan: Of planned requests' records; None where the model has none.
        clock: Nanoseconds that pass.
        spent: Nanoseconds of the processor that this thread took.
    """

    def __init__(
        self,
        book: RowBook,
        counter: Counter,
        features: Features | None,
        plan: InputPlan | None,
        clock: Callable[[], int] = time.monotonic_ns,
        spent: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        self._book = book
        self._counter = counter
        self._features = features
        self._records = None if plan is None else RecordColumns(plan)
        self._clock, self._spent = clock, spent
        # Rows, groups of planned requests or None, else what `keep` gave, the answer, the likeness: a plain tuple,
        # for this one is made while somebody waits.
        self._fresh: tuple[int, Sequence[Group] | None, Any, Any, int | None] | None = None
        self._backlog: deque[Taken | Pile] = deque()
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
            InvalidProfile, OSError: As `counting_by`.
        """
        self.settle()
        opened, self._book, self._counter = counting_by(profile)
        self._book.see(self._rows + sum(piece.rows for piece in self._slices))
        return opened

    # ── what was answered

    def keep(self, data: Any) -> Any:
        """A copy of what the model is about to be given, for it may change what it gets; None where there is no room."""
        self.settle()
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
        """The model has answered so many rows; their answers are about to leave, and then `settle` is to be called.

        Args:
            rows: How many there were.
            kept: What `keep` gave for them.
            answer: All of them.
            likeness: Batches that are equal in it may be put together.
        """
        if self._fresh is not None:
            self.settle()
        # Before anybody has the answer: then whatever was answered was seen, whenever this process is killed.
        self._book.see(rows)
        self._fresh = (rows, None, kept, answer, likeness)

    def take_groups(self, groups: Sequence[Group], rows: int, answer: Any) -> None:
        """The model has answered these, as `take` has it."""
        if self._fresh is not None:
            self.settle()
        self._book.see(rows)
        self._fresh = (rows, groups, None, answer, None)

    def settle(self) -> None:
        """The answers have left: copy what is to be counted, before the model is called again.

        So whoever waits for an answer does not wait for this.
        """
        fresh = self._fresh
        if fresh is None:
            return
        self._fresh = None
        rows, groups, kept, answer, likeness = fresh
        try:
            taken = self._put(rows, kept, answer, likeness) if groups is None else self._put_groups(groups, rows, answer)
        except Exception as error:  # noqa: BLE001 - a model's objects are copied here
            self._give_up(rows, error)
            return
        if taken < rows:
            self._book.drop(rows - taken)

    def _put(self, rows: int, kept: Any, answer: Any, likeness: int | None) -> int:
        size = 0 if kept is None else count_rows(kept) or 0
        if size:
            if size < rows:
                answer = every(answer, rows, -(-rows // self._most_rows))
            self._append(Taken(size, kept, copied(answer), likeness))
        return size

    def _put_groups(self, groups: Sequence[Group], rows: int, answer: Any) -> int:
        size = sum([group.size_bytes for group in groups])
        self._weigh(size + answer.nbytes if type(answer) is np.ndarray else size, rows)
        if not self._has_room(rows):
            return 0
        last = self._backlog[-1] if self._backlog else None
        if isinstance(last, Pile) and last.rows < self._slice_rows and last.add(groups, rows, answer):
            self._rows += rows
        else:
            self._append(Pile(groups, rows, answer))
        return rows

    def _append(self, taken: Taken | Pile) -> None:
        if not self._backlog:
            self._oldest_ns = self._clock()
        self._backlog.append(taken)
        self._rows += taken.rows

    def _has_room(self, rows: int) -> bool:
        return len(self._backlog) < MOST_BATCHES and (self._rows + rows <= self._most_rows or not self._rows)

    def _weigh(self, size: int, rows: int) -> None:
        """How many rows of this size may wait: images are large, and a worker's memory is its model's."""
        is_small = size <= rows * (MOST_BYTES // MOST_ROWS)
        self._most_rows = MOST_ROWS if is_small else max(1, MOST_BYTES * rows // size)

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
        return not (self._backlog or self._slices or self._fresh)

    @property
    def is_crowded(self) -> bool:
        """Whether rows are going to be dropped unless some are counted although requests wait."""
        return self._rows > self._most_rows // 2 or len(self._backlog) > MOST_BATCHES // 2

    def spare(self) -> float:
        """There is time to count a slice. Says after how many seconds there is something to do again; 0: at once.

        What is less than a slice waits for more, unless it has waited long.
        """
        self.settle()
        now = self._clock()
        waits_ns = now - self._oldest_ns
        if self._rows < self._slice_rows and waits_ns < _PATIENCE_NS and not self._slices:
            return (_PATIENCE_NS - waits_ns) / 1e9
        self._earn(now)
        if self._budget_ns <= 0:
            return float(max(-self._budget_ns / SHARE, 1e6)) / 1e9
        self._count_timed()
        return 0

    def finish(self) -> None:
        """The worker ends: count what is left, for a moment, and drop the rest."""
        self.settle()
        # Of the processor's time: a busy machine is no reason to drop what takes a millisecond.
        ends = self._spent() + int(_LAST_S * 1e9)
        while not self.is_idle and self._spent() < ends:
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

    def _gather(self) -> list[Taken | Pile]:
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

    def _cut(self, batches: list[Taken | Pile]) -> None:
        """Batches as slices of columns."""
        try:
            self._slices.extend(self._read(batches))
        except RowsDiffer:
            for each in batches:
                with self._dropping(each.rows):
                    self._slices.extend(self._read([each]))
        except Exception as error:  # noqa: BLE001 - a model's objects are read here
            self._give_up(sum(each.rows for each in batches), error)

    def _read(self, batches: Sequence[Taken | Pile]) -> list[Slice]:
        rows = sum(each.rows for each in batches)
        answer = batches[0].answer if len(batches) == 1 else _joined([each.answer for each in batches])
        piles = [each for each in batches if isinstance(each, Pile)]
        if piles:
            assert self._records is not None
            inputs = self._records.of_piles(piles)
            columns: Mapping[Any, Any] = inputs if self._features is None else self._features.taken_from(inputs)
        else:
            given = [each.data for each in batches if isinstance(each, Taken)]
            columns = self._columns_of(given[0] if len(given) == 1 else merge(given))
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
