"""Answers that come in parts: the model's generators that are not at their end, each pulled one part at a time.

Nothing runs beside the worker's loop: between two batches it asks one stream for its next part, in turn, so that the model
is only ever called from one thread, a stream keeps nobody waiting for longer than one part takes, and the board always
says whose part is being made. A part is only made while the gateway still takes one (`frames.WINDOW`, MORE).
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from podium.errors import UnencodableOutput
from podium.models.predictor import Predictor
from podium.transport.board import BoardWriter
from podium.transport.frames import DEFAULT_LIMIT, WINDOW, encode_chunk
from podium.worker.inbox import Job
from podium.worker.link import Link
from podium.worker.reply import Cost, end_stream, refuse

MOST_STREAMS = 256
"""How many streams a worker has at a time; a request for one more is refused, and may go to another worker."""
_FRAME_ROOM = 1024
_MOST_WINDOW = 1 << 16


class Stream:
    """One generator.

    Attributes:
        window: How many parts the gateway still takes.
    """

    __slots__ = ("job", "parts", "predict_ns", "started_ns", "window")

    def __init__(self, job: Job, parts: Iterator[Any], started_ns: int) -> None:
        self.job = job
        self.parts = parts
        self.window = WINDOW
        self.started_ns = started_ns
        self.predict_ns = 0

    @property
    def cost(self) -> Cost:
        return Cost(1, self.started_ns, self.predict_ns, True)


class Streams:
    """All streams of a worker.

    Args:
        predictor: The model.
        board: Says whose part is made.
    """

    def __init__(self, predictor: Predictor, board: BoardWriter) -> None:
        self._predictor = predictor
        self._board = board
        self._streams: dict[tuple[Link, int], Stream] = {}
        self._turns: deque[Stream] = deque()  # those whose gateway takes a part

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def has_turns(self) -> bool:
        """Whether a part could be made now."""
        return bool(self._turns)

    @property
    def has_room(self) -> bool:
        return len(self._streams) < MOST_STREAMS

    def holds(self, link: Link, identity: int) -> bool:
        """Whether a stream has this id."""
        return (link, identity) in self._streams

    def begin(self, job: Job) -> None:
        """Take up a request, for which `has_room` was asked; its parts come by `step`."""
        started = time.monotonic_ns()
        try:
            stream = Stream(job, self._predictor.stream(job.data, job.params), started)
        except BaseException as error:  # noqa: BLE001 - as in Runner: whatever the model raises
            refuse(job, error, Cost(job.rows, started, time.monotonic_ns() - started, True))
            return
        job.data = None
        self._streams[job.link, job.id] = stream
        self._turns.append(stream)

    def step(self) -> bool:
        """Make one part of the stream whose turn it is; whether another can be made at once."""
        turns = self._turns
        for _ in range(len(turns)):
            stream = turns.popleft()
            if not stream.job.link.is_reading:
                turns.append(stream)  # its gateway does not keep up; what it takes wakes the loop
                continue
            if self._advance(stream) and stream.window > 0:
                turns.append(stream)
            return bool(turns)
        return False

    def more(self, link: Link, identity: int, count: int) -> None:
        """The gateway takes so many parts more; of a stream that has ended that is nobody's business."""
        stream = self._streams.get((link, identity))
        if stream is not None:
            was_waiting = stream.window <= 0
            stream.window = min(stream.window + count, _MOST_WINDOW)
            if was_waiting and stream.window > 0:
                self._turns.append(stream)

    def cancel(self, link: Link, identity: int) -> None:
        """Nobody waits for this stream any more."""
        stream = self._streams.pop((link, identity), None)
        if stream is not None:
            self._end(stream)

    def drop_all(self, link: Link) -> None:
        """The gateway is gone."""
        for owner, identity in list(self._streams):
            if owner is link:
                self.cancel(owner, identity)

    def _advance(self, stream: Stream) -> bool:
        """Send its next part, or its end; whether it goes on."""
        job = stream.job
        began = time.monotonic_ns()
        self._board.announce([(job.link.serial, job.id)], began)
        try:
            part = next(stream.parts)
            body = self._write(job, part)
        except StopIteration:
            stream.predict_ns += time.monotonic_ns() - began
            end_stream(job, stream.cost)
        except BaseException as error:  # noqa: BLE001 - as in Runner: whatever the model raises
            stream.predict_ns += time.monotonic_ns() - began
            refuse(job, error, stream.cost)
        else:
            stream.predict_ns += time.monotonic_ns() - began
            stream.window -= 1
            job.link.send(body)
            self._board.clear()
            return True
        self._streams.pop((job.link, job.id), None)
        self._end(stream)
        return False

    @staticmethod
    def _write(job: Job, part: Any) -> bytes:
        assert job.writer is not None
        body = job.writer.write(part)
        if len(body) > DEFAULT_LIMIT - _FRAME_ROOM:
            raise UnencodableOutput(
                f"A part of the prediction has {len(body)} bytes when written; the limit is {DEFAULT_LIMIT}."
            )
        return encode_chunk(job.id, job.writer.content_type, body)

    def _end(self, stream: Stream) -> None:
        """Let the generator clean up: its own code runs, and whatever it raises is nobody's."""
        with contextlib.suppress(ValueError):
            self._turns.remove(stream)
        self._board.announce([(stream.job.link.serial, stream.job.id)], time.monotonic_ns())
        close = getattr(stream.parts, "close", None)
        if close is not None:
            with contextlib.suppress(BaseException):
                close()
        self._board.clear()
