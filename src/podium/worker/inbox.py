"""The bounded queue of a worker, counted in rows."""

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Protocol, Union

from podium.domain.batching import Dispatch, Wait, decide

if TYPE_CHECKING:
    from podium.domain.batching import BatchPolicy, LatencyModel, Previous
    from podium.worker.link import Link
    from podium.worker.planned import Group

Item = Union["Job", "Group"]
"""What waits in an inbox."""

_MAX_KEYS = 1024


class BodyWriter(Protocol):
    """Makes a response's body of a prediction.

    Attributes:
        content_type: Of what it writes.
    """

    content_type: str

    def write(self, output: Any) -> bytes:
        """The body.

        Raises:
            UnencodableOutput: The prediction has no form there.
        """


class Job:
    """One request that was decoded and waits to be run.

    Attributes:
        rows: 1 where the input is not made of rows.
        writer: Writes its answer; None for MLflow's JSON.
        is_stream: The answer comes in parts.
        merge_key: A small number for each different key, so that comparing is cheap; None merges with nobody.
    """

    requests = 1

    __slots__ = (
        "arrived_ns", "data", "deadline_ns", "id", "is_enveloped", "is_stream", "link", "merge_key", "params", "request_id",
        "rows", "size_bytes", "writer",
    )  # fmt: skip

    def __init__(
        self, link: "Link", identity: int, request_id: str, deadline_ns: int, arrived_ns: int, size_bytes: int
    ) -> None:
        self.link = link
        self.id = identity
        self.request_id = request_id
        self.deadline_ns = deadline_ns
        self.arrived_ns = arrived_ns
        self.size_bytes = size_bytes
        self.data: Any = None
        self.params: dict[str, Any] | None = None
        self.is_enveloped = True
        self.writer: BodyWriter | None = None
        self.is_stream = False
        self.rows = 1
        self.merge_key: int | None = None

    @property
    def widest(self) -> int:
        return self.rows

    def singles(self) -> list["Job"]:
        """This one."""
        return [self]


class Inbox:
    """Oldest first. Full at `max_rows` rows or `max_bytes` of bodies, but an empty one takes any one request.

    Args:
        max_rows: Rows; each request weighs at least one.
        max_bytes: Bytes of the bodies as they arrived: rows alone do not bound memory.
    """

    def __init__(self, max_rows: int, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._queue: deque[Item] = deque()
        self._keys: dict[Hashable, int] = {}
        self._next_key = 0
        self._size_bytes = 0
        self._next_expiry_ns = 0
        self.rows = 0

    def __len__(self) -> int:
        return len(self._queue)

    def has_room(self, rows: int, size_bytes: int) -> bool:
        """Whether a request of this weight may come in."""
        if not self._queue:
            return True
        return self.rows + max(rows, 1) <= self._max_rows and self._size_bytes + size_bytes <= self._max_bytes

    def key_number(self, key: Hashable | None) -> int | None:
        """A number that stands for a merge key; equal keys that wait at the same time have equal numbers, mostly.

        The table is bounded: when it is full it starts anew, and requests from before do not merge with later ones.
        """
        if key is None:
            return None
        number = self._keys.get(key)
        if number is None:
            if len(self._keys) >= _MAX_KEYS:
                self._keys.clear()
            number = self._keys[key] = self._next_key
            self._next_key += 1
        return number

    def put(self, job: Item) -> None:
        """Append a request or a group, for which `has_room` was asked."""
        self._queue.append(job)
        self.rows += max(job.rows, 1)
        self._size_bytes += job.size_bytes
        if job.deadline_ns and (not self._next_expiry_ns or job.deadline_ns < self._next_expiry_ns):
            self._next_expiry_ns = job.deadline_ns

    def drop(self, job: Item) -> None:
        """Take out a waiting request that was cancelled."""
        self._queue.remove(job)
        self._forget(job)

    def drop_all(self, link: "Link") -> None:
        """Take out every request of a gateway that is gone."""
        for job in link.waiting.values():
            self._forget(job)
        self._queue = deque(job for job in self._queue if job.link is not link)

    def expired(self, now_ns: int) -> list[Item]:
        """Take out every request whose deadline has passed."""
        if not self._next_expiry_ns or now_ns < self._next_expiry_ns:
            return []
        late = [job for job in self._queue if job.deadline_ns and job.deadline_ns <= now_ns]
        if late:
            self._queue = deque(job for job in self._queue if not job.deadline_ns or job.deadline_ns > now_ns)
        self._next_expiry_ns = min((job.deadline_ns for job in self._queue if job.deadline_ns), default=0)
        for job in late:
            self._forget(job)
        return late

    def next_batch(
        self, now_ns: int, cost: "LatencyModel", policy: "BatchPolicy", previous: "Previous | None"
    ) -> list[Item] | Wait:
        """Take out the requests to run now, or say until when to wait; the queue is not empty."""
        decision = decide(self._queue, now_ns, cost, policy, previous)
        match decision:
            case Wait():
                return decision
            case Dispatch(picked):
                return self._take(picked)

    def _take(self, picked: tuple[int, ...]) -> list[Item]:
        queue = self._queue
        batch: list[Item] = []
        passed: list[Item] = []
        wanted = iter(picked)
        following = next(wanted, -1)
        for position in range(picked[-1] + 1):
            job = queue.popleft()
            if position == following:
                batch.append(job)
                following = next(wanted, -1)
            else:
                passed.append(job)
        queue.extendleft(reversed(passed))
        for job in batch:
            self._forget(job)
        return batch

    def _forget(self, job: Item) -> None:
        self.rows -= max(job.rows, 1)
        self._size_bytes -= job.size_bytes
