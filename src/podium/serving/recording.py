"""What is kept of a request after its answer left: counters in the slot, a line in the access log."""

import math
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from podium.domain.rollouts.agreement import Agreement
from podium.domain.rollouts.evidence import LATENCY_BOUNDS_US
from podium.protocols.mlflow.first_prediction import cell_of_answer
from podium.serving.exporting import Exporting
from podium.serving.walks.walk import Walk
from podium.telemetry.access import AccessEntry, AccessLog
from podium.telemetry.metrics import (
    BATCH_ROWS,
    CACHE,
    CACHE_ANSWERS,
    CACHE_BYTES,
    CODES,
    COMPARED,
    CRASHES,
    DIFFERENCE,
    DURATION,
    ERRORS,
    FEEDBACK,
    IN_FLIGHT,
    IN_FLIGHT_BYTES,
    KINDS,
    LABELS,
    LATENCY,
    PREDICT,
    PREDICTIONS,
    QUEUE,
    RECEIVED,
    REJECTED,
    REQUESTS,
    RETRIES,
    REWARD,
    REWARD_SCALE,
    REWARD_SQUARES,
    ROWS,
    SENT,
    SHADOW_DURATION,
    SHADOW_REQUESTS,
)
from podium.telemetry.slots import SERIES, UNROUTED, Slots
from podium.transport.frames import Answers, Reply
from podium.web.messages import Request

_CODE_CELLS = {int(code): REQUESTS.cell(code) for code in CODES if code.isdigit()}
_OK = REQUESTS.cell("200")
_OTHER_CODE = REQUESTS.cell("other")
_DURATION, _DURATION_SUM, _DURATION_BOUNDS = DURATION.offset, DURATION.sum, DURATION.bounds
_PREDICTIONS, _SKETCHED, _LATENCY = PREDICTIONS.offset, 8, LATENCY.offset
_QUEUE, _QUEUE_SUM, _ROWS, _RECEIVED, _SENT = QUEUE.offset, QUEUE.sum, ROWS.offset, RECEIVED.offset, SENT.offset
_KINDS = {kind: ERRORS.cell(kind) for kind in KINDS}
CLIENT_LEFT = 499
_NOBODYS = (429, CLIENT_LEFT)


class Recorder:
    """Counts in one gateway's slot; a cell is written by nobody else.

    Args:
        slots: The server's table.
        slot: This gateway's place in it.
        access: Where lines go, or None.
        exporting: Who hands on what others are told of requests, or None.
    """

    def __init__(self, slots: Slots, slot: int, access: AccessLog | None, exporting: Exporting | None = None) -> None:
        self.slots = slots
        self.access = access
        self.exporting = exporting
        self.slot = slot
        self._dropped = 0
        self._blocks = {UNROUTED: slots.block(slot, UNROUTED)}

    def record(
        self,
        walk: Walk,
        series: int,
        status: int,
        answer: bytes | memoryview,
        *,
        label: tuple[str, str] | None = None,
        reply: Reply | None = None,
        error: str | None = None,
    ) -> None:
        """Count a finished request, write its line and hand it on.

        Args:
            walk: The request.
            series: Of the version that answered or was to answer; `UNROUTED` where none was.
            status: What the client got; `CLIENT_LEFT` where it got nothing.
            answer: Its body; of one in parts what came last.
            label: Endpoint and version.
            reply: The worker's answer, where there was one.
            error: The code of the error that was answered.
        """
        now = time.monotonic()
        duration_us = int((now - walk.started) * 1e6)
        sent = len(answer) + walk.sent
        cells = self._blocks.get(series) or self._block(series)
        cells[_CODE_CELLS.get(status, _OTHER_CODE)] += 1
        cells[_DURATION + bisect_left(_DURATION_BOUNDS, duration_us)] += 1
        cells[_DURATION_SUM] += duration_us
        cells[_RECEIVED] += walk.body_size
        cells[_SENT] += sent
        if status >= 400 and status not in _NOBODYS:
            cells[_KINDS[_fault(status, reply)]] += 1
        if reply is not None:
            queued_us = reply.queued_us
            cells[_QUEUE + bisect_left(_DURATION_BOUNDS, queued_us)] += 1
            cells[_QUEUE_SUM] += queued_us
            cells[_ROWS] += reply.rows
            if reply.is_first_of_batch:
                self.record_batch(series, reply)
        if self.access is not None:
            self.access.add(
                AccessEntry(
                    datetime.now(UTC),
                    walk.request_id,
                    walk.client,
                    walk.request.method,
                    walk.request.path,
                    status,
                    walk.body_size,
                    sent,
                    duration_us / 1000,
                    None if reply is None else reply.queued_us / 1000,
                    None if reply is None else reply.predict_us / 1000,
                    None if reply is None else reply.rows,
                    None if reply is None else reply.batch_rows,
                    None if label is None else label[0],
                    None if label is None else label[1],
                    walk.attempts,
                    error,
                    walk.principal or None,
                )
            )
        if self.exporting is not None:
            self.exporting.see(walk, status, duration_us, answer, label, reply, error)

    def record_answers(
        self, series: int, label: tuple[str, str], answered: Sequence[tuple[Walk, bytes]], answers: Answers
    ) -> None:
        """Count the requests of one ANSWERS frame, each with its answer's body, write their lines and hand them on."""
        cells = self._blocks.get(series) or self._block(series)
        count, queued_us = len(answered), answers.queued_us
        if answers.is_first_of_batch:
            self._count_batch(cells, answers.batch_rows, answers.predict_us)
        if not count:
            return
        now = time.monotonic()
        received = sent = rows = 0
        for walk, made in answered:
            received += walk.body_size
            sent += len(made)
            rows += walk.rows
        durations = [int((now - walk.started) * 1e6) for walk, _ in answered]
        _count_durations(cells, durations)
        cells[_OK] += count
        cells[_DURATION_SUM] += sum(durations)
        cells[_RECEIVED] += received
        cells[_SENT] += sent
        cells[_QUEUE + bisect_left(_DURATION_BOUNDS, queued_us)] += count
        cells[_QUEUE_SUM] += queued_us * count
        cells[_ROWS] += rows
        access = self.access
        if access is not None:
            wall = datetime.now(UTC)
            queue_ms, predict_ms = queued_us / 1000, answers.predict_us / 1000
            for (walk, made), duration_us in zip(answered, durations, strict=True):
                access.add(
                    AccessEntry(
                        wall, walk.request_id, walk.client, "POST", walk.request.path, 200, walk.body_size, len(made),
                        duration_us / 1000, queue_ms, predict_ms, walk.rows, answers.batch_rows, label[0], label[1],
                        walk.attempts, None, walk.principal or None,
                    )
                )  # fmt: skip
        if self.exporting is not None:
            self.exporting.see_all(answered, durations, label, answers)

    def record_predictions(
        self,
        series: int,
        content_type: str,
        bodies: Sequence[bytes | memoryview],
        walks: Sequence[Walk | None],
        predict_us: int,
    ) -> None:
        """Count what was predicted, of many answers at once the first few, and finely how long the model took for each.

        Without the queue before it: a candidate has fewer replicas than the stable version, and would be blamed for that.
        """
        cells = self._block(series)
        cells[_LATENCY + bisect_left(LATENCY_BOUNDS_US, predict_us)] += sum(type(walk) is Walk for walk in walks)
        for body in bodies[:_SKETCHED]:
            cell = cell_of_answer(body, content_type)
            if cell is not None:
                cells[_PREDICTIONS + cell] += 1

    def record_copy(self, series: int, result: str, duration_us: int | None = None) -> None:
        """Count a copy for a shadow by what became of it."""
        cells = self._block(series)
        cells[SHADOW_REQUESTS.cell(result)] += 1
        if duration_us is not None:
            cells[SHADOW_DURATION.bucket(duration_us)] += 1
            cells[SHADOW_DURATION.sum] += duration_us

    def record_comparison(self, series: int, found: Agreement) -> None:
        """Count what came of setting a shadow's answer beside the client's."""
        cells = self._block(series)
        cells[COMPARED.cell("agreed" if found.is_same else "disagreed")] += 1
        if found.distance is not None:
            parts = math.ceil(found.distance * 1e6)
            cells[DIFFERENCE.bucket(parts)] += 1
            cells[DIFFERENCE.sum] += parts

    def record_batch(self, series: int, reply: Reply) -> None:
        """Count the batch that a reply is the first of; for a reply that nobody waits for any more, too."""
        if reply.is_first_of_batch:
            self._count_batch(self._block(series), reply.batch_rows, reply.predict_us)

    @staticmethod
    def _count_batch(cells: memoryview, rows: int, predict_us: int) -> None:
        cells[PREDICT.bucket(predict_us)] += 1
        cells[PREDICT.sum] += predict_us
        cells[BATCH_ROWS.bucket(rows)] += 1
        cells[BATCH_ROWS.sum] += rows

    def record_refused(
        self,
        status: int,
        request_id: str,
        method: str,
        path: str,
        client: str,
        sent: int,
        error: str,
        principal: str = "",
    ) -> None:
        """Count and write down a request that never became a scoring request: unreadable, no such path."""
        self._blocks[UNROUTED][_CODE_CELLS.get(status, _OTHER_CODE)] += 1
        if self.access is not None:
            self.access.add(
                AccessEntry(
                    datetime.now(UTC),
                    request_id,
                    client,
                    method,
                    path,
                    status,
                    0,
                    sent,
                    0.0,
                    error=error,
                    principal=principal or None,
                )
            )

    def record_hit(
        self,
        series: int,
        label: tuple[str, str],
        request: Request,
        request_id: str,
        client: str,
        sent: int,
        principal: str,
    ) -> None:
        """Count and write down a request whose answer was kept: it is none of the version's answers."""
        self._block(series)[CACHE.cell("hit")] += 1
        if self.access is not None:
            self.access.add(
                AccessEntry(
                    datetime.now(UTC), request_id, client, request.method, request.path, 200, len(request.body), sent, 0.0,
                    None, None, None, None, label[0], label[1], 0, None, principal or None,
                )
            )  # fmt: skip

    def count_miss(self, series: int) -> None:
        """Count a request whose answer was looked for and not kept."""
        self._block(series)[CACHE.cell("miss")] += 1

    def set_kept(self, series: int, answers: int, size_bytes: int) -> None:
        """Say how many answers of a version this gateway keeps now, and what they take."""
        cells = self._block(series)
        cells[CACHE_ANSWERS.offset], cells[CACHE_BYTES.offset] = answers, size_bytes

    def count_rejected(self, series: int, reason: str) -> None:
        self._block(series)[REJECTED.cell(reason)] += 1

    def count_retry(self, series: int) -> None:
        self._block(series)[RETRIES.offset] += 1

    def count_crashed(self, series: int) -> None:
        self._block(series)[CRASHES.offset] += 1

    def count_report(self, series: int, result: str) -> None:
        """Count a report on an answer by what became of it."""
        self._block(series)[FEEDBACK.cell(result)] += 1

    def count_reward(self, series: int, reward: float) -> None:
        """Count what a report says an answer was worth, 0 to 1."""
        cells, parts = self._block(series), round(reward * REWARD_SCALE)
        cells[REWARD.bucket(parts)] += 1
        cells[REWARD.sum] += parts
        cells[REWARD_SQUARES.offset] += round(reward * reward * REWARD_SCALE)

    def count_label(self, series: int) -> None:
        """Count a report that says what an answer should have been."""
        self._block(series)[LABELS.offset] += 1

    def publish_dropped(self) -> None:
        """Put the number of access log lines that this process could not write where every gateway can read it."""
        if self.access is not None and self.access.dropped != self._dropped:
            self.slots.add_lines_dropped(self.slot, self.access.dropped - self._dropped)
            self._dropped = self.access.dropped

    def set_in_flight(self, in_flight: Iterable[tuple[int, int, int]]) -> None:
        """Say what is in flight now: series, requests, bytes; what is not named has nothing."""
        seen: dict[int, tuple[int, int]] = {}
        for series, requests, size in in_flight:
            before = seen.get(series, (0, 0))
            seen[series] = (before[0] + requests, before[1] + size)
        for series in seen.keys() | self._blocks.keys():
            cells = self._block(series)
            cells[IN_FLIGHT.offset], cells[IN_FLIGHT_BYTES.offset] = seen.get(series, (0, 0))

    def _block(self, series: int) -> memoryview:
        block = self._blocks.get(series)
        if block is None:
            # A series beyond the table is counted with what has none, rather than not at all.
            block = self._blocks[series] = self.slots.block(self.slot, series if 0 <= series < SERIES else UNROUTED)
        return block


def _count_durations(cells: memoryview, durations: Sequence[int]) -> None:
    """Into the histogram; what was answered at once took as long, mostly, so that its place is looked for once."""
    bounds, place, above, below, count = _DURATION_BOUNDS, 0, -1.0, -1.0, 0
    for duration_us in durations:
        if above < duration_us <= below:
            count += 1
            continue
        if count:
            cells[_DURATION + place] += count
        place, count = bisect_left(bounds, duration_us), 1
        above = bounds[place - 1] if place else -1
        below = bounds[place] if place < len(bounds) else math.inf
    cells[_DURATION + place] += count


def _fault(status: int, reply: Reply | None) -> str:
    """Whose fault an error is: a model that raises answers 400 as MLflow's does, so that the status alone does not tell."""
    if status == 504:
        return "timeout"
    if reply is not None and reply.is_fault:
        return "model"
    return "internal" if status >= 500 else "client"
