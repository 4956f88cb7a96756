"""Which of the waiting requests run now, together: the batcher's whole judgement, without a clock or a queue of its own.

A batch is whatever queued while the previous one ran (pull, no timer). Times are nanoseconds of one monotonic clock.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, Protocol

_FORGETTING = 0.95
_ENOUGH_SPREAD = 0.25


class BatchingMode(StrEnum):
    """Whether to merge requests at all. In each mode but OFF the probe at load can veto."""

    AUTO = "auto"
    """Where the flavor knows the rows to be independent, or the author declared it when logging the model."""
    ON = "on"
    """Whoever serves the model declares it."""
    OFF = "off"


class Waiting(Protocol):
    """A request in the queue, or several that came together and stay together, as far as batching looks at them."""

    @property
    def rows(self) -> int:
        """Rows along axis 0; 1 where rows cannot be counted."""

    @property
    def requests(self) -> int:
        """How many requests this is: more than one where they came together."""

    @property
    def widest(self) -> int:
        """Rows of the largest of these requests."""

    @property
    def merge_key(self) -> Hashable | None:
        """Equal keys may share one call; None shares with nobody."""

    @property
    def deadline_ns(self) -> int:
        """When the answer is worth nothing any more; 0 = never."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """Limits of a batch.

    Args:
        max_rows: A batch of several requests never holds more rows; one request alone may.
        max_requests: Nor more requests.
        merge_rows: A request with more rows runs by itself, so that it does not delay single rows.
        gather_share: After a batch of several, wait for up to this share of that batch's cost; 0 never waits.
        gather_limit_ns: And never longer than this.
    """

    max_rows: int = 256
    max_requests: int = 4000
    merge_rows: int = 64
    gather_share: float = 0.1
    gather_limit_ns: int = 5_000_000


# What is made for each batch is a named tuple: that takes a third of a frozen dataclass's time.


class Previous(NamedTuple):
    """The batch before this decision: how many requests it held, its rows, and when its answers had left."""

    requests: int
    rows: int
    ended_ns: int


class Dispatch(NamedTuple):
    """Run the requests at these positions of the queue, ascending, in one call; 0 is always among them."""

    picked: tuple[int, ...]


class Wait(NamedTuple):
    """Look again when something arrives, or at `until_ns` at the latest."""

    until_ns: int


class LatencyModel(NamedTuple):
    """What a call costs: `per_row_ns * rows + fixed_ns`, least squares with exponential forgetting.

    Both coefficients are never negative; before the first observation both are zero. While all batches had about the same
    size, their mean is taken as fixed cost, for there is no slope to see. Start from `LatencyModel()`.
    """

    per_row_ns: float = 0.0
    fixed_ns: float = 0.0
    weight: float = 0.0
    sum_rows: float = 0.0
    sum_ns: float = 0.0
    sum_rows_rows: float = 0.0
    sum_rows_ns: float = 0.0

    def cost_ns(self, rows: int) -> float:
        return self.per_row_ns * rows + self.fixed_ns

    def observe(self, rows: int, elapsed_ns: int) -> "LatencyModel":
        """The model after one more batch; the batch of 14 observations ago counts half."""
        weight = self.weight * _FORGETTING + 1.0
        sum_rows = self.sum_rows * _FORGETTING + rows
        sum_ns = self.sum_ns * _FORGETTING + elapsed_ns
        rows_rows = self.sum_rows_rows * _FORGETTING + rows * rows
        rows_ns = self.sum_rows_ns * _FORGETTING + rows * elapsed_ns
        per_row, fixed = _fit(weight, sum_rows, sum_ns, rows_rows, rows_ns)
        return LatencyModel(per_row, fixed, weight, sum_rows, sum_ns, rows_rows, rows_ns)


def decide(
    queue: Sequence[Waiting],
    now_ns: int,
    cost: LatencyModel,
    policy: BatchPolicy,
    previous: Previous | None = None,
) -> Dispatch | Wait:
    """Say which of the waiting requests to run now, or until when to gather more.

    Laws:
        The oldest is always in the batch, so nothing starves.
        All of a batch have the oldest's merge key; a key of None, and a request of more than `merge_rows` rows, run alone.
        Nothing is added that makes late what would be in time without it: now + cost(rows) <= deadline is kept.
        A lone request never waits. Several wait only after a batch of more than are there now (its clients are about to
        come back; without this 64 clients fall into two alternating half-batches), for at most a share of that batch's
        cost, and only while the oldest still meets its deadline.

    Args:
        queue: Oldest first; not empty; nothing in it is expired or cancelled.
        now_ns: The clock of `Waiting.deadline_ns`.
        cost: Fitted to the batches so far.
        policy: Limits.
        previous: The last batch, or None at the start.
    """
    until = _gather_until(queue, cost, policy, previous)
    if until > now_ns:
        return Wait(until)
    return Dispatch(_pick(queue, now_ns, cost, policy))


def _gather_until(queue: Sequence[Waiting], cost: LatencyModel, policy: BatchPolicy, previous: Previous | None) -> int:
    head = queue[0]
    present = head.requests if len(queue) == 1 else sum(item.requests for item in queue)
    if present < 2 or previous is None or previous.requests <= present or present >= policy.max_rows:
        return 0
    if head.merge_key is None or head.widest > policy.merge_rows:
        return 0
    window = min(policy.gather_share * cost.cost_ns(previous.rows), policy.gather_limit_ns)
    until = previous.ended_ns + int(window)
    if head.deadline_ns and until + cost.cost_ns(previous.rows) > head.deadline_ns:
        return 0
    return until


def _pick(queue: Sequence[Waiting], now_ns: int, cost: LatencyModel, policy: BatchPolicy) -> tuple[int, ...]:
    head = queue[0]
    key, total = head.merge_key, head.rows
    if key is None or head.widest > policy.merge_rows:
        return (0,)
    picked, requests = [0], head.requests
    # The soonest deadline among those that are in time with what was picked so far: who is late anyway holds nobody back.
    tightest = _sooner(0, head, now_ns + cost.cost_ns(total))
    for position, item in enumerate(islice(queue, 1, None), 1):
        rows = item.rows
        if item.merge_key != key or item.widest > policy.merge_rows:
            continue
        if total + rows > policy.max_rows or requests + item.requests > policy.max_requests:
            break
        ends_ns = now_ns + cost.cost_ns(total + rows)
        if tightest and ends_ns > tightest:
            break
        picked.append(position)
        requests += item.requests
        total += rows
        tightest = _sooner(tightest, item, ends_ns)
    return tuple(picked)


def _sooner(tightest: int, item: Waiting, ends_ns: float) -> int:
    deadline = item.deadline_ns
    if not deadline or deadline < ends_ns:
        return tightest
    return min(tightest, deadline) if tightest else deadline


def _fit(weight: float, rows: float, ns: float, rows_rows: float, rows_ns: float) -> tuple[float, float]:
    spread = weight * rows_rows - rows * rows
    if spread <= _ENOUGH_SPREAD * weight:
        return 0.0, ns / weight
    per_row = (weight * rows_ns - rows * ns) / spread
    fixed = (ns - per_row * rows) / weight
    if per_row < 0.0:
        return 0.0, ns / weight
    if fixed < 0.0:
        return rows_ns / rows_rows, 0.0
    return per_row, fixed
