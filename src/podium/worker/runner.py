"""One batch: merged, predicted once, cut, answered; split where it fails, so that only the guilty request does."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podium.errors import DeadlineExceeded, PodiumError, PredictFailed
from podium.models.predictor import Predictor
from podium.transport.board import BoardWriter
from podium.worker.inbox import Item, Job
from podium.worker.log import log_event
from podium.worker.memory import Memory
from podium.worker.planned import Group, PlannedInput
from podium.worker.reply import Cost, answer, answer_groups, expire, refuse
from podium.worker.rows import RowsDiffer, merge, merge_key, split, take

if TYPE_CHECKING:
    from podium.worker.tap import Tap


class Runner:
    """Runs batches on one model.

    While the model has a batch, the board says which requests those are, and it says so until their answers are made.

    Args:
        predictor: The model.
        board: Where to announce.
        planned: Makes data of groups; None where the model has no input plan.
        is_batching: The verdict at load. It becomes False for good when a merged call gives back other rows than it was
            given: then the model is not what the list, its author or the probe took it for.
        max_rows: Where the cap of a batch's rows begins; running out of memory lowers it.
        tap: Is given what was asked and answered; None where nobody watches it.
    """

    def __init__(
        self,
        predictor: Predictor,
        board: BoardWriter,
        is_batching: bool,
        planned: PlannedInput | None = None,
        max_rows: int = 256,
        tap: "Tap | None" = None,
    ) -> None:
        self._tap = tap
        self._predictor = predictor
        self._board = board
        self._planned = planned
        self._memory = Memory(predictor.loaded, board, max_rows)
        self.is_batching = is_batching

    @property
    def row_cap(self) -> int:
        """The most rows that a batch is to have now."""
        return self._memory.rows

    def run(self, batch: Sequence[Item]) -> bool:
        """Answer every request of a batch, one way or the other; False where the batch had to be split.

        A batch is made of groups alone, or of single requests alone: their merge keys differ.
        """
        if self._tap is not None:
            self._tap.settle()
        try:
            return self._run(batch)
        finally:
            if self._memory.is_watched:
                self._memory.conclude()

    def _run(self, batch: Sequence[Item]) -> bool:
        groups = [item for item in batch if isinstance(item, Group)]
        if not groups:
            return self._run_all([[item for item in batch if isinstance(item, Job)]])
        parts = self._attempt_groups(groups)
        if parts:
            self._run_all(parts, is_whole=False)
        else:
            self._board.clear()
        return not parts

    def _run_all(self, parts: list[list[Job]], is_whole: bool = True) -> bool:
        while parts:
            jobs = parts.pop()
            if not is_whole:
                jobs = self._still_wanted(jobs)
            if not jobs:
                continue
            more = self._attempt(jobs)
            if more:
                is_whole = False
                # The first of them next: answers keep the order of the requests.
                parts.extend(reversed(more))
        self._board.clear()
        return is_whole

    def _attempt_groups(self, groups: list[Group]) -> list[list[Job]]:
        """Run groups in one call and answer them; or return the parts to try instead, last first, with their own data."""
        started = time.monotonic_ns()
        planned = self._planned
        assert planned is not None
        requests = sum([group.requests for group in groups])
        if requests > 1 and not self.is_batching:
            return [[job] for job in reversed(planned.singles(groups))]
        rows = sum([group.rows for group in groups])
        if self._memory.is_short and rows > self._memory.rows:
            # Groups come in sizes of the gateways' choosing.
            return self._within_cap(planned.singles(groups))
        self._board.announce_ranges([(group.link.serial, group.id, group.requests) for group in groups], started)
        try:
            output = planned.predict(groups)
        except BaseException as error:  # noqa: BLE001 - whatever the model raises; the guilty one is refused when it is alone
            if not self._memory.failed(error, rows) and requests == 1:
                elapsed = time.monotonic_ns() - started
                for job in groups[0].singles():
                    refuse(job, _as_failure(error), Cost(job.rows, started, elapsed, True))
                return []
            jobs = planned.singles(groups)
            half = len(jobs) // 2
            return [part for part in (jobs[half:], jobs[:half]) if part]
        if self._memory.is_watched:
            self._memory.fitted(rows)
        cost = Cost(rows, started, time.monotonic_ns() - started, True)
        try:
            if len(groups) == 1 and groups[0].wants_tensors:
                for job in planned.lone(groups[0]):
                    answer(job, output, cost, self._predictor.dialect)
            else:
                answer_groups(groups, output, cost, self._predictor.dialect, planned.form_of(output))
        except RowsDiffer as error:
            self._distrust(error)
            return [[job] for job in reversed(planned.singles(groups))]
        except Exception:  # noqa: BLE001 - of what the model returned; nothing was sent, and alone each is told what is wrong
            return [[job] for job in reversed(planned.singles(groups))]
        if self._tap is not None:
            self._tap.take_groups(groups, rows, output)
        return []

    def _attempt(self, jobs: list[Job]) -> Sequence[list[Job]]:
        """Run these in one call and answer them; or return the parts to try instead."""
        started = time.monotonic_ns()
        self._board.announce([(job.link.serial, job.id) for job in jobs], started)
        if len(jobs) == 1:
            self._run_one(jobs[0], started)
            return ()
        sizes = [job.rows for job in jobs]
        try:
            data = merge([job.data for job in jobs])
        except (RowsDiffer, TypeError, ValueError, MemoryError):
            return [[job] for job in jobs]
        kept = None if self._tap is None else self._tap.keep(data)
        try:
            output = self._predictor.call(data, jobs[0].params)
            predict_ns = time.monotonic_ns() - started
            outputs = split(output, sizes)
        except RowsDiffer as error:
            self._distrust(error)
            return [[job] for job in jobs]
        except BaseException as error:  # noqa: BLE001 - whatever the model raises; the guilty one is refused when it is alone
            self._memory.failed(error, sum(sizes))
            half = len(jobs) // 2
            return [jobs[:half], jobs[half:]]
        batch_rows = sum(sizes)
        self._memory.fitted(batch_rows)
        cost = Cost(batch_rows, started, predict_ns, True)
        for job, part in zip(jobs, outputs, strict=True):
            answer(job, part, cost, self._predictor.dialect)
            if cost.is_first and job.link.is_open:
                cost = Cost(batch_rows, started, predict_ns, False)
        if self._tap is not None:
            self._tap.take(batch_rows, kept, output, jobs[0].merge_key)
        return ()

    def _run_one(self, job: Job, started: int) -> None:
        kept = None if self._tap is None else self._tap.keep(job.data)
        try:
            output = self._call_alone(job)
        except BaseException as error:  # noqa: BLE001 - sys.exit in a model must not end the worker
            elapsed = time.monotonic_ns() - started
            refuse(job, _as_failure(error), Cost(job.rows, started, elapsed, True))
            return
        answer(job, output, Cost(job.rows, started, time.monotonic_ns() - started, True), self._predictor.dialect)
        if self._tap is not None:
            self._tap.take(job.rows, kept, output, job.merge_key)

    def _call_alone(self, job: Job) -> Any:
        """One request in one call; or in several where it does not fit and each of its rows is answered by itself."""
        can_be_cut = self.is_batching and job.rows > 1 and merge_key(job.data, job.params) is not None
        if not (can_be_cut and self._memory.is_short and job.rows > self._memory.rows):
            try:
                output = self._predictor.call(job.data, job.params)
            except PodiumError as error:
                if not (self._memory.failed(error, job.rows) and can_be_cut):
                    raise
            else:
                self._memory.fitted(job.rows)
                return output
        return self._in_parts(job)

    def _in_parts(self, job: Job) -> Any:
        size, outputs, start = max(min(self._memory.rows, job.rows // 2), 1), list[Any](), 0
        while start < job.rows:
            stop = min(start + size, job.rows)
            try:
                part = self._predictor.call(take(job.data, range(start, stop)), job.params)
            except PodiumError as error:
                if not self._memory.failed(error, stop - start) or stop - start == 1:
                    raise
                size = (stop - start) // 2
                continue
            self._memory.fitted(stop - start)
            outputs += split(part, [stop - start])
            start = stop
        return merge(outputs)

    def _within_cap(self, jobs: list[Job]) -> list[list[Job]]:
        """Parts of no more rows than fit, the last first; a request that is larger is one by itself."""
        parts: list[list[Job]] = []
        rows = 0
        for job in jobs:
            if not parts or rows + job.rows > self._memory.rows:
                parts.append([])
                rows = 0
            parts[-1].append(job)
            rows += job.rows
        return parts[::-1]

    def _still_wanted(self, jobs: list[Job]) -> list[Job]:
        now = time.monotonic_ns()
        wanted = []
        for job in jobs:
            if job.deadline_ns and job.deadline_ns <= now:
                expire(job, DeadlineExceeded("The deadline passed before the request was run."))
            elif job.link.is_open:
                wanted.append(job)
        return wanted

    def _distrust(self, error: RowsDiffer) -> None:
        self.is_batching = False
        log_event("batching_stopped", reason=f"{error.message}; from now on each request is run alone")


def _as_failure(error: BaseException) -> BaseException:
    if isinstance(error, PodiumError):
        return error
    failure = PredictFailed("The model failed on this input.")
    failure.__cause__ = error
    return failure
