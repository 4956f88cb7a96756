"""A gateway's side of one worker: its data socket, what is outstanding on it, its board.

What the worker sends is not trusted: a frame that cannot be, or that answers what was never asked, breaks the socket.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable

import msgspec

from podium.domain.batching import BatchPolicy
from podium.domain.busy_wait import BusyWait
from podium.domain.traffic import Shadow
from podium.protocols.mlflow.fast_reading import FastReader, Packed
from podium.serving.remembering import Lottery
from podium.serving.walks.request_ids import Ids
from podium.serving.walks.walk import Walk
from podium.serving.walks.ways import ROUTE, route_token
from podium.transport.board import BoardReader
from podium.transport.frame_reader import FrameReader
from podium.transport.frames import (
    ANSWERS,
    CHUNK,
    REFUSED,
    REPLY,
    Answers,
    BrokenFrame,
    Reply,
    decode_answers,
    decode_chunk,
    decode_reply,
    encode_cancel,
    encode_rows,
)
from podium.transport.messages import AddReplica
from podium.web.messages import header_lines

_READ_BYTES = 1 << 18
_ALONE_ROWS = BatchPolicy().merge_rows  # a request with more is not merged, so nobody should wait for its frame
_LONE_BEFORE = 8
_MOST_AT_ONCE = 1 << 20  # bytes written in one turn of the loop
_BUFFERS = 256  # written at once; the kernel takes at most 1024


class Replica:
    """One worker as this gateway sees it. Event loop's thread only.

    Args:
        loop: The event loop.
        sock: The data socket; the replica's from now on.
        board: The worker's board; the replica's from now on.
        added: What the supervisor says of it.
        max_buffer_bytes: What may wait to be written before the replica counts as full.
        busy_wait_us: How long to look for a lone request's answer before the event loop goes on; 0 never.
        reader: Decodes bodies that fit the model's input plan; None where there is none.

    Attributes:
        outstanding: Requests that wait for their reply, by frame id, oldest first.
        rows: Estimated rows of these.
        is_draining: The worker refused a request because it drains; it gets no more.
        is_dropped: The supervisor took it away; released when nothing is outstanding.
        headers: Lines that go with each answer.
        is_compared: What it predicts is counted, because versions are compared.
        shadow: Who gets copies of what it answers.
        ids: Names of its requests.
        lottery: Says which of its version's answers are remembered.
        variant: What its version is called beside others that share the traffic; empty where it has all.
    """

    ids: Ids
    lottery: Lottery

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        board: BoardReader,
        added: AddReplica,
        *,
        max_buffer_bytes: int,
        busy_wait_us: int = 0,
        reader: FastReader | None = None,
    ) -> None:
        self.id = added.replica
        self.endpoint = endpoint = added.endpoint
        self.version = version = added.version
        self.series = added.series
        self.board = board
        self._lines = header_lines(("x-podium-model", endpoint), ("x-podium-version", version))
        self._routed_lines = self._lines + header_lines((ROUTE, route_token(endpoint, version)))
        self.pins_its_route(is_told=False)
        self.is_compared = False
        self.shadow: Shadow | None = None
        self.outstanding: dict[int, Walk] = {}
        self.rows = 0
        self.is_draining = False
        self.is_dropped = False
        self.is_closed = False
        self._serial = added.socket
        self._loop = loop
        self._socket = sock
        self._descriptor = sock.fileno()
        self._reader = FrameReader()
        # Kept: a new buffer of this size for each read is mapped, shrunk and unmapped by three calls of the system.
        self._incoming = memoryview(bytearray(_READ_BYTES))
        self._next_id = 1
        self._unsent: deque[bytes | memoryview] = deque()
        self._unsent_bytes = 0
        self._max_buffer_bytes = max_buffer_bytes
        self._is_flushing = self._is_watched_for_writing = False
        self.reader = reader
        self._group_rows = added.group_rows
        self._group: list[Walk] = []
        self._packed: list[Packed] = []
        self._gathered = 0
        self._is_gathering = False
        self._busy_wait = BusyWait(1000 * busy_wait_us)
        self._alone_since = 0
        self._streak = 0  # requests that were alone, one after another
        self._is_looking = self._has_looked = False

    def start(
        self,
        on_reply: "Callable[[Replica, Walk | None, Reply], None]",
        on_answers: "Callable[[Replica, list[Walk | None], Answers], None]",
        on_refused: "Callable[[Replica, Walk, int], None]",
        on_chunk: "Callable[[Replica, Walk, str, bytes], None]",
        on_lost: "Callable[[Replica, str], None]",
    ) -> None:
        """Read from now on.

        `on_reply` and `on_answers` get None in place of a request that was cancelled. `on_lost` is called once, when the
        socket broke; it closes the replica.
        """
        self._on_reply, self._on_answers = on_reply, on_answers
        self._on_refused, self._on_chunk, self._on_lost = on_refused, on_chunk, on_lost
        self._socket.setblocking(False)
        self._loop.add_reader(self._descriptor, self._readable)

    def pins_its_route(self, is_told: bool) -> None:
        """Whether clients are told how they come back to this version: where there are others."""
        self.headers, self.variant = (self._routed_lines, self.version) if is_told else (self._lines, "")

    @property
    def has_room(self) -> bool:
        """Whether it takes one more request."""
        return not (self.is_closed or self.is_draining or self.is_dropped or self._unsent_bytes > self._max_buffer_bytes)

    def send(self, walk: Walk) -> None:
        """Send a request as it came, which is outstanding from now on."""
        if self._group:
            self._send_group()  # the ids of a group follow one another
        identity = walk.identity = self._next_id
        self._next_id = identity + 1
        self.outstanding[identity] = walk
        self.rows += walk.rows
        for part in walk.as_frame(walk.request if walk.detour is None else walk.detour.request()):
            self.write(part)

    def gather(self, walk: Walk, packed: Packed) -> None:
        """Send a decoded request, in one frame with all others of this turn of the loop."""
        rows = packed.rows
        group = self._group
        if group and self._gathered + rows > self._group_rows:
            self._send_group()
        identity = walk.identity = self._next_id
        self._next_id = identity + 1
        self.outstanding[identity] = walk
        self.rows += rows
        group.append(walk)
        self._packed.append(packed)
        self._gathered += rows
        if rows > _ALONE_ROWS or not self._group_rows:
            self._send_group()
        elif not self._is_gathering:
            self._is_gathering = True
            self._loop.call_soon(self._end_turn)

    def send_gathered(self) -> None:
        """Send what was gathered, without waiting for the turn's end: nobody looks for its answer."""
        if self._group:
            self._send_group()

    def _end_turn(self) -> None:
        self._is_gathering = False
        if self._group:
            self._send_group()
            if len(self.outstanding) == 1:
                self._await_lone()
            else:
                self._streak = 0

    def _await_lone(self) -> None:
        """Look for the answer of a request that is alone on this replica, where `BusyWait` says that it pays.

        Only after a run of requests that were alone: then nobody else waits for the event loop.
        """
        began = self._alone_since = time.monotonic_ns()
        if self._streak < _LONE_BEFORE or not self._busy_wait.is_worthwhile:
            return
        self._is_looking = True
        ends = began + self._busy_wait.limit_ns
        while self.outstanding and not self.is_closed and time.monotonic_ns() < ends:
            self._readable()
        self._has_looked, self._is_looking = True, False

    def _learn_wait(self, was_alone: bool) -> None:
        if not was_alone:
            self._streak = 0
            return
        self._streak += 1
        has_looked = self._has_looked or self._is_looking
        self._busy_wait.learn(time.monotonic_ns() - self._alone_since, has_looked)
        self._has_looked = False

    def _send_group(self) -> None:
        group, packed = self._group, self._packed
        first = group[0]
        frame = encode_rows(
            first.identity,
            int(first.deadline * 1e9),
            [part.rows for part in packed],
            self._gathered,
            "\n".join([walk.request_id for walk in group]).encode("latin-1"),
            _texts_of(packed),
            [part.block for part in packed],
            self._gathered > _ALONE_ROWS and len(group) == 1 and first.detour is not None and first.detour.wants_tensors,
        )
        group.clear()
        packed.clear()
        self._gathered = 0
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        if not self._is_flushing:
            self._flush()

    def write(self, frame: bytes) -> None:
        """Send a frame, or the next part of one, together with all others of this turn of the loop."""
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def cancel(self, identity: int) -> None:
        """Nobody waits for this request any more; a reply to it is dropped."""
        if self._take(identity) is not None and not self.is_closed:
            if self._group:
                self._send_group()  # what is to be cancelled may be in it
            self.write(encode_cancel(identity))

    def running(self) -> set[int]:
        """Ids of this gateway's requests that the worker runs, or ran when it died."""
        return {identity for serial, identity in self.board.running() if serial == self._serial}

    def finish(self) -> None:
        """Write what can be written now and close: nothing is outstanding, so nothing else can be lost than a CANCEL."""
        if self._unsent:
            self._flush()
        self.close()

    def close(self) -> None:
        """Close the socket and the board. What is outstanding stays for whoever closes."""
        if not self.is_closed:
            self.is_closed = True
            self._loop.remove_reader(self._descriptor)
            if self._is_watched_for_writing:
                self._loop.remove_writer(self._descriptor)
            self._unsent.clear()
            self._unsent_bytes = 0
            self._group.clear()
            self._packed.clear()
            self._gathered = 0
            self._socket.close()
            self.board.close()

    def _take(self, identity: int) -> Walk | None:
        walk = self.outstanding.pop(identity, None)
        if walk is not None:
            self.rows -= walk.rows
        return walk

    def _readable(self) -> None:
        reader = self._reader
        try:
            size = self._socket.recv_into(reader.room or self._incoming)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(f"its socket broke: {error.strerror}")
            return
        if not size:
            self._lose("its socket closed")
            return
        try:
            for frame in reader.feed(self._incoming[:size].tobytes()) if reader.room is None else reader.take(size):
                if self.is_closed:
                    return
                if frame.kind == REPLY:
                    reply = decode_reply(frame.flags, frame.status, frame.id, frame.payload)
                    self._on_reply(self, self._answered(frame.id), reply)
                elif frame.kind == ANSWERS:
                    answers = decode_answers(frame.flags, frame.id, frame.payload, frame.status)
                    self._on_answers(self, self._all_answered(frame.id, len(answers.bodies)), answers)
                elif frame.kind == REFUSED:
                    refused = self._answered(frame.id)
                    if refused is not None:
                        self._on_refused(self, refused, frame.flags)
                elif frame.kind == CHUNK:
                    self._take_chunk(frame.id, frame.payload)
                else:
                    raise BrokenFrame(f"a worker sent a frame of kind {frame.kind}")
        except BrokenFrame as error:
            self._lose(error.message)

    def _take_chunk(self, identity: int, payload: memoryview) -> None:
        walk = self.outstanding.get(identity)
        if walk is None or walk.taker is None:
            if walk is not None or not 0 < identity < self._next_id:
                raise BrokenFrame(f"a worker sent a part of an answer to request {identity}, which asked for none")
            return  # it was cancelled
        content_type, body = decode_chunk(payload)
        self._on_chunk(self, walk, content_type, body)

    def _answered(self, identity: int) -> Walk | None:
        """The request that a frame answers; None for one that was cancelled.

        Raises:
            BrokenFrame: No request had this id.
        """
        walk = self._take(identity)
        if walk is None and not 0 < identity < self._next_id:
            raise BrokenFrame(f"a worker answered request {identity}, which was never sent")
        return walk

    def _all_answered(self, first: int, count: int) -> list[Walk | None]:
        last = first + count - 1
        if not 0 < first <= last < self._next_id:
            raise BrokenFrame(f"a worker answered requests {first} to {last}, which were never sent")
        pop = self.outstanding.pop
        walks = [pop(identity, None) for identity in range(first, last + 1)]
        self._learn_wait(count == 1 and not self.outstanding and type(walks[0]) is Walk)
        self.rows -= sum([walk.rows for walk in walks if walk is not None])
        return walks

    def _flush(self) -> None:
        self._is_flushing = False
        unsent = self._unsent
        most = self._unsent_bytes - _MOST_AT_ONCE
        try:
            while unsent and not self.is_closed:
                if self._unsent_bytes < most:
                    # The worker reads as fast as we write: others come before the rest of what is large.
                    self._watch_for_writing()
                    return
                if len(unsent) == 1:
                    sent = self._socket.send(unsent[0])
                else:
                    sent = self._socket.sendmsg([unsent[i] for i in range(min(len(unsent), _BUFFERS))])
                self._sent(sent)
        except (BlockingIOError, InterruptedError):
            self._watch_for_writing()
            return
        except OSError:
            # The reading side sees the end too, after what the worker had still answered.
            unsent.clear()
            self._unsent_bytes = 0
        if self._is_watched_for_writing and not self.is_closed:
            self._is_watched_for_writing = False
            self._loop.remove_writer(self._descriptor)

    def _watch_for_writing(self) -> None:
        if not self._is_watched_for_writing:
            self._is_watched_for_writing = True
            self._loop.add_writer(self._descriptor, self._flush)

    def _sent(self, count: int) -> None:
        unsent = self._unsent
        self._unsent_bytes -= count
        while count:
            first = unsent[0]
            size = len(first)
            if size > count:
                unsent[0] = memoryview(first)[count:]
                return
            unsent.popleft()
            count -= size

    def _lose(self, reason: str) -> None:
        if not self.is_closed:
            self._on_lost(self, reason)


def _texts_of(packed: list[Packed]) -> bytes:
    texts = [text for part in packed for text in part.texts]
    return msgspec.json.encode(texts) if texts else b""
