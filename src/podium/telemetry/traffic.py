"""What a version's counters say of its traffic: how much, how good, how quick."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from podium.telemetry.metrics import BATCH_ROWS, CODES, DURATION, PREDICT, QUEUE, REJECTED, REQUESTS, ROWS

LATENCY_EDGES_S = tuple(bound / DURATION.scale for bound in DURATION.bounds)
_NO_LATENCY = (0,) * (len(LATENCY_EDGES_S) + 1)


@dataclass(frozen=True, slots=True)
class TrafficCounts:
    """Sums over some time; they add up exactly.

    Attributes:
        requests: That were answered, whatever the answer.
        client_errors, server_errors: Those with status 4xx and 5xx.
        rejected: Turned away without a prediction.
        rows, batches: That were predicted.
        duration_us: From each request's last byte to its answer.
        queue_us: What requests waited in a worker's queue.
        predict_us: What batches took in the model.
        latency: How many requests took how long: one count for each of `LATENCY_EDGES_S`, and one for all that took longer.
    """

    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    rejected: int = 0
    rows: int = 0
    batches: int = 0
    duration_us: int = 0
    queue_us: int = 0
    predict_us: int = 0
    latency: tuple[int, ...] = _NO_LATENCY

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many requests took at most each edge, and at last how many there were: what quantiles are made of."""
        return tuple(accumulate(self.latency))

    @property
    def cells(self) -> tuple[int, ...]:
        """All numbers in the order of the attributes, those of `latency` last."""
        # Written out: `astuple` copies deeply, and a page of a day adds thousands of these up.
        return (
            self.requests, self.client_errors, self.server_errors, self.rejected, self.rows, self.batches,
            self.duration_us, self.queue_us, self.predict_us, *self.latency,
        )  # fmt: skip

    @classmethod
    def from_cells(cls, cells: Sequence[int]) -> "TrafficCounts":
        """The traffic whose `cells` these are."""
        requests, client_errors, server_errors, rejected, rows, batches, duration_us, queue_us, predict_us, *latency = cells
        sums = (requests, client_errors, server_errors, rejected, rows, batches, duration_us, queue_us, predict_us)
        return cls(*sums, latency=tuple(latency))

    def __add__(self, other: "TrafficCounts") -> "TrafficCounts":
        return TrafficCounts.from_cells([ours + theirs for ours, theirs in zip(self.cells, other.cells, strict=True)])


def traffic_of(cells: Sequence[int]) -> TrafficCounts:
    """The traffic in a series' cells, summed over all gateways (`Slots.totals`), since it was first counted."""
    codes = dict(zip(CODES, cells[REQUESTS.offset :], strict=False))
    return TrafficCounts(
        requests=sum(codes.values()),
        client_errors=sum(count for code, count in codes.items() if code.startswith("4")),
        server_errors=sum(count for code, count in codes.items() if code.startswith("5")),
        rejected=sum(cells[REJECTED.offset : REJECTED.offset + REJECTED.cells]),
        rows=cells[ROWS.offset],
        batches=sum(cells[BATCH_ROWS.offset : BATCH_ROWS.sum]),
        duration_us=cells[DURATION.sum],
        queue_us=cells[QUEUE.sum],
        predict_us=cells[PREDICT.sum],
        latency=tuple(cells[DURATION.offset : DURATION.sum]),
    )
