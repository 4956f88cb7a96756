"""The worker's one loop: read what is readable, decode it, run a batch, write the answers. It blocks nowhere else.

Nothing is awaited but the epoll; a model call simply takes its time, and what arrives meanwhile is the next batch.
"""

import dataclasses
import os
import select
import socket
import time
from typing import TYPE_CHECKING

from podium.domain.batching import BatchPolicy, LatencyModel, Previous, Wait
from podium.domain.busy_wait import BusyWait
from podium.errors import DeadlineExceeded
from podium.models.predictor import Predictor
from podium.transport import frames
from podium.transport.board import BoardWriter
from podium.transport.frame_reader import Frame
from podium.transport.frames import BrokenFrame, RequestFrame
from podium.worker.decoding import Decoder
from podium.worker.inbox import Inbox, Item, Job
from podium.worker.link import Link
from podium.worker.log import log_event
from podium.worker.mailbox import AttachLink, BeginDrain, CountRows, Mailbox
from podium.worker.planned import PLANNED, Group, PlannedInput
from podium.worker.reply import expire, refuse
from podium.worker.rows import count_rows, merge_key
from podium.worker.runner import Runner
from podium.worker.sampling import count_by
from podium.worker.streams import Streams

if TYPE_CHECKING:
    from podium.worker.tap import Tap

_GONE = select.EPOLLHUP | select.EPOLLERR
_SPIN_NS = 1_500_000
_SWEEPS = 64


class Loop:
    """Serves data sockets until told to drain.

    Args:
        predictor: The model.
        runner: What runs batches on it.
        board: Where the length of the queue, and a request while it is decoded, are told.
        mailbox: Attach and drain orders.
        policy: Limits of a batch.
        max_queue_rows: The queue's bound; beyond it requests are refused with QUEUE_FULL.
        planned: Makes data of what gateways decoded; None where the model has no input plan.
        busy_wait_us: How long to look for the next lone request before sleeping; 0 never.
        tap: Counts what was asked and answered when nothing else is to be done; None where nobody watches the model.
    """

    def __init__(
        self,
        predictor: Predictor,
        runner: Runner,
        board: BoardWriter,
        mailbox: Mailbox,
        policy: BatchPolicy,
        max_queue_rows: int,
        planned: PlannedInput | None = None,
        busy_wait_us: int = 0,
        tap: "Tap | None" = None,
    ) -> None:
        self._tap = tap
        self._decoder = Decoder(predictor)
        self._streams = Streams(predictor, board)
        self._runner = runner
        self._board = board
        self._mailbox = mailbox
        self._policy = policy
        self._planned = planned
        self._inbox = Inbox(max_queue_rows)
        self._links: dict[int, Link] = {}
        self._epoll = select.epoll()
        self._epoll.register(mailbox.descriptor, select.EPOLLIN)
        self._cost = LatencyModel()
        self._previous: Previous | None = None
        self._is_draining = False
        self._busy_wait = BusyWait(1000 * busy_wait_us)

    def run(self) -> None:
        """Serve; return when a drain was ordered, everything queued is answered and every answer was taken."""
        timeout_s: float = -1
        while True:
            self._poll(timeout_s)
            timeout_s = self._step()
            if self._streams.has_turns:
                if self._streams.step():
                    timeout_s = 0
                self._flush()
            if self._is_draining and self._is_done:
                # What came since the last poll is refused, not left to find a closed socket.
                self._sweep()
                self._flush()
                if self._tap is not None:
                    self._tap.finish()
                return

    @property
    def _is_done(self) -> bool:
        has_work = self._inbox or self._streams
        return not has_work and not any(link.has_output for link in self._links.values())

    def abandon(self) -> None:
        """Close every descriptor without a word: a child that the model's code forked must hold no socket open."""
        self._epoll.close()
        for link in list(self._links.values()):
            link.close()

    # ── arrival

    def _poll(self, timeout_s: float) -> None:
        has_arrivals = False
        for descriptor, event in self._idle() if timeout_s < 0 else self._epoll.poll(timeout_s):
            if descriptor == self._mailbox.descriptor:
                self._obey()
                continue
            link = self._links.get(descriptor)
            if link is None:
                continue
            has_gone = event & _GONE and not link.is_reading
            if has_gone or (event & select.EPOLLOUT and not link.flush()):
                self._lose(link)
            elif event & (select.EPOLLIN | _GONE):
                self._read(link)
                has_arrivals = True
        if has_arrivals:
            self._board.clear()
            self._board.set_queued(self._inbox.rows)

    def _idle(self) -> list[tuple[int, int]]:
        """Whatever comes; rows that wait to be counted are, until something comes."""
        tap = self._tap
        if tap is None or tap.is_idle:
            return self._await_lone()
        wait_s = tap.spare()
        return self._await_lone(wait_s) if wait_s else self._epoll.poll(0)

    def _await_lone(self, limit_s: float = -1) -> list[tuple[int, int]]:
        """Whatever comes within a time, or ever; after a lone request looked for at first, where that pays."""
        began = time.monotonic_ns()
        wait = self._busy_wait
        events: list[tuple[int, int]] = []
        is_looking = wait.is_worthwhile and self._previous is not None and self._previous.requests == 1
        if is_looking:
            while not (events := self._epoll.poll(0)) and time.monotonic_ns() - began < wait.limit_ns:
                os.sched_yield()  # whoever else wants the processor has it
        events = events or self._epoll.poll(limit_s)
        wait.learn(time.monotonic_ns() - began, is_looking)
        return events

    def _obey(self) -> None:
        for order in self._mailbox.take():
            match order:
                case AttachLink(sock, serial):
                    self._attach(sock, serial)
                case CountRows(profile, tell):
                    count_by(self._tap, profile, tell)
                case BeginDrain():
                    # What had arrived before the drain is still served.
                    self._sweep()
                    self._is_draining = True

    def _attach(self, sock: socket.socket, serial: int) -> None:
        link = Link(sock, serial)
        link.interest = select.EPOLLIN
        self._links[link.descriptor] = link
        self._epoll.register(link.descriptor, link.interest)

    def _sweep(self) -> None:
        for link in list(self._links.values()):
            for _ in range(_SWEEPS):
                if not (link.is_open and link.is_reading and self._read(link)):
                    break
        self._board.clear()

    def _read(self, link: Link) -> bool:
        """Take in what is readable; whether there was anything."""
        try:
            arrived, is_open = link.receive()
            if not is_open:
                self._lose(link)
                return False
            now = time.monotonic_ns()
            for frame in arrived:
                self._take_in(link, frame, now)
        except BrokenFrame as error:
            log_event("gateway_broken", socket=link.serial, reason=error.message)
            self._lose(link)
            return False
        return bool(arrived)

    def _take_in(self, link: Link, frame: Frame, now: int) -> None:
        if frame.kind == frames.REQUEST:
            self._admit(link, frames.decode_request(frame.flags, frame.id, frame.payload), now)
        elif frame.kind == frames.ROWS:
            self._admit_rows(link, frames.decode_rows(frame.flags, frame.id, frame.payload), now)
        elif frame.kind == frames.CANCEL:
            self._cancel(link, frame.id)
        elif frame.kind == frames.MORE:
            self._streams.more(link, frame.id, frame.status)
        else:
            raise BrokenFrame(f"a gateway sent a frame of kind {frame.kind}")

    def _cancel(self, link: Link, identity: int) -> None:
        if self._streams.holds(link, identity):
            self._streams.cancel(link, identity)
            return
        item = link.waiting.get(identity)
        if not isinstance(item, Job):
            item = next(
                (group for group in link.waiting.values() if isinstance(group, Group) and group.holds(identity)), None
            )
            if item is None or not item.cancel(identity):
                return
        del link.waiting[item.id]
        self._inbox.drop(item)

    def _admit_rows(self, link: Link, rows: frames.Rows, now: int) -> None:
        if self._planned is None:
            raise BrokenFrame("a gateway decoded a request of a model without an input plan")
        self._planned.check(rows)
        group = Group(link, rows, now)
        if group.id in link.waiting:
            raise BrokenFrame("a gateway used the id of a request that waits")
        if self._is_draining or not self._inbox.has_room(group.rows, group.size_bytes):
            reason = frames.DRAINING if self._is_draining else frames.QUEUE_FULL
            for identity in range(group.id, group.id + group.requests):
                link.send(frames.encode_refused(identity, reason))
            return
        if group.deadline_ns and group.deadline_ns <= now:
            self._expire(group, "The deadline passed before the request arrived.")
            return
        if self._runner.is_batching and group.widest <= self._policy.merge_rows:
            group.merge_key = PLANNED
        link.waiting[group.id] = group
        self._inbox.put(group)

    def _expire(self, item: Item, why: str) -> None:
        for job in item.singles():
            expire(job, DeadlineExceeded(why))

    def _admit(self, link: Link, request: RequestFrame, now: int) -> None:
        size = len(request.body)
        if request.id in link.waiting or self._streams.holds(link, request.id):
            raise BrokenFrame("a gateway used the id of a request that waits")
        if self._is_draining:
            link.send(frames.encode_refused(request.id, frames.DRAINING))
            return
        if not self._inbox.has_room(1, size) or (request.is_stream and not self._streams.has_room):
            link.send(frames.encode_refused(request.id, frames.QUEUE_FULL))
            return
        job = Job(link, request.id, request.request_id, request.deadline_ns, now, size)
        if request.deadline_ns and request.deadline_ns <= now:
            expire(job, DeadlineExceeded("The deadline passed before the request arrived."))
            return
        # Decoding can kill a process as well as predicting can: say whose request it is.
        self._board.point(link.serial, request.id, now)
        if not self._decode(job, request):
            return
        if job.is_stream:
            self._streams.begin(job)  # which calls nothing of the model's yet
            return
        if job.rows > 1 and not self._inbox.has_room(job.rows, size):
            link.send(frames.encode_refused(request.id, frames.QUEUE_FULL))
            return
        link.waiting[request.id] = job
        self._inbox.put(job)

    def _decode(self, job: Job, request: RequestFrame) -> bool:
        """Decode and enforce on arrival, each request alone; False where it was answered with its problem."""
        try:
            self._decoder.decode(job, request)
            rows = None if job.is_stream else count_rows(job.data)
            if rows is not None:
                job.rows = rows
                if self._runner.is_batching and 0 < rows <= self._policy.merge_rows and not request.is_solo:
                    job.merge_key = self._inbox.key_number(merge_key(job.data, job.params))
        except BaseException as error:  # noqa: BLE001 - whatever a body can provoke, the other requests go on
            refuse(job, error)
            return False
        return True

    # ── batches

    def _step(self) -> float:
        """Run one batch if there is one, and write; how long the next poll may wait: 0 with work at hand, -1 without."""
        inbox = self._inbox
        now = time.monotonic_ns()
        for job in inbox.expired(now):
            del job.link.waiting[job.id]
            self._expire(job, "The deadline passed while the request was queued.")
        if not inbox:
            self._board.set_queued(0)
            self._flush()
            return -1
        batch = inbox.next_batch(now, self._cost, self._policy, self._previous)
        if isinstance(batch, Wait):
            self._flush()
            return self._nap(batch.until_ns - now)
        self._board.set_queued(inbox.rows)
        for job in batch:
            del job.link.waiting[job.id]
        # Where batching was stopped after these were given their keys, each is run alone.
        runs: list[list[Item]] = [batch] if self._runner.is_batching else [[job] for job in batch]
        is_whole = sum(self._runner.run(run) for run in runs) == len(runs)
        self._flush()
        tap = self._tap
        if tap is not None:
            tap.settle()
            if tap.is_crowded:
                tap.spare()
        if self._runner.row_cap != self._policy.max_rows:
            self._policy = dataclasses.replace(self._policy, max_rows=self._runner.row_cap)
        ended = time.monotonic_ns()
        rows = sum([job.rows for job in batch])
        if is_whole:
            self._cost = self._cost.observe(rows, ended - now)
        self._previous = Previous(sum([item.requests for item in batch]), rows, ended)
        return 0 if inbox else -1

    def _nap(self, remaining_ns: int) -> float:
        # epoll counts in milliseconds; what is shorter is spent giving the processor to whoever will send the rest.
        if remaining_ns > _SPIN_NS:
            return (remaining_ns - _SPIN_NS // 2) / 1e9
        os.sched_yield()
        return 0

    # ── departure

    def _flush(self) -> None:
        for link in list(self._links.values()):
            if link.has_output and not link.flush():
                self._lose(link)
                continue
            if link.interest == select.EPOLLIN and not link.has_output:
                continue
            interest = (select.EPOLLIN if link.is_reading else 0) | (select.EPOLLOUT if link.has_output else 0)
            if interest != link.interest:
                link.interest = interest
                self._epoll.modify(link.descriptor, interest)

    def _lose(self, link: Link) -> None:
        """The gateway is gone: nobody waits for its answers."""
        if not link.is_open:
            return
        self._inbox.drop_all(link)
        self._streams.drop_all(link)
        link.waiting.clear()
        del self._links[link.descriptor]
        self._epoll.unregister(link.descriptor)
        link.close()
