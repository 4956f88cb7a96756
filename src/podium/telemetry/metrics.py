"""Every metric of the scoring path, declared once: name, unit, labels, help, and the cells that hold it.

A series is one version of one endpoint (or the requests that reached no version). Its numbers are unsigned 64-bit cells,
one block for each gateway; only sums of cells are ever shown: whole microseconds and bytes are counted, never fractions.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import Enum

from podium.domain.rollouts.evidence import LATENCY_BOUNDS_US, SKETCH_CELLS


class Kind(Enum):
    """Prometheus' types that are used here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a series.

    Args:
        name: As exposed; base units, `_total` on counters.
        kind: Prometheus' type.
        help: One sentence.
        label: The label whose values are counted apart, or None.
        values: Values of `label`, one cell each.
        bounds: Upper bounds of a histogram's buckets in the cells' unit; the last, +Inf, is implied.
        scale: Cells are divided by this for exposition: 1e6 where microseconds are counted and seconds shown.
        offset: Index of the first cell in a series' block.
        is_rare: A histogram that most series never have: it is shown of those that counted something.
    """

    name: str
    kind: Kind
    help: str
    label: str | None = None
    values: tuple[str, ...] = ()
    bounds: tuple[int, ...] = ()
    scale: int = 1
    offset: int = 0
    is_rare: bool = False

    @property
    def cells(self) -> int:
        """How many cells it takes: a histogram has its buckets, +Inf and its sum."""
        if self.kind is Kind.HISTOGRAM:
            return len(self.bounds) + 2
        return max(len(self.values), 1)

    def bucket(self, value: int) -> int:
        """Index of the cell that counts this value of a histogram."""
        return self.offset + bisect_left(self.bounds, value)

    @property
    def sum(self) -> int:
        """Index of the cell that holds a histogram's sum."""
        return self.offset + len(self.bounds) + 1

    def cell(self, value: str) -> int:
        """Index of the cell of one value of `label`; of `other` where it has none of its own.

        Raises:
            ValueError: It has none, and this metric has no `other`.
        """
        return self.offset + self.values.index(value if value in self.values else "other")


# 499 is a client that left before its answer; what has no place of its own is counted as "other".
CODES = (
    "200", "204", "307", "400", "401", "403", "404", "405", "408", "409", "413", "414", "415", "417", "422", "429", "431",
    "499", "500", "501", "503", "504", "505", "other",
)  # fmt: skip
REASONS = ("queue_full", "gateway_full", "waiting_full", "not_ready", "deadline")
KINDS = ("client", "model", "timeout", "internal")
SHADOWED = ("answered", "failed", "dropped")
COMPARISONS = ("agreed", "disagreed")
REPORTS = ("matched", "unmatched", "duplicate", "late", "invalid", "full")
CACHED = ("hit", "miss")
REWARD_SCALE = 1_000_000

_DURATIONS_US = (
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
)  # fmt: skip
_DIFFERENCES_PPM = (0, 1, 100, 1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
_REWARDS = tuple(tenth * REWARD_SCALE // 10 for tenth in range(11))
_BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def _laid_out(*metrics: Metric) -> tuple[Metric, ...]:
    placed, offset = [], 0
    for metric in metrics:
        placed.append(replace(metric, offset=offset))
        offset += metric.cells
    return tuple(placed)


def _duration(name: str, text: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, text, bounds=_DURATIONS_US, scale=1_000_000)


def _counter(name: str, text: str, label: str | None = None, values: tuple[str, ...] = ()) -> Metric:
    return Metric(name, Kind.COUNTER, text, label, values)


SERIES_METRICS = _laid_out(
    _counter("podium_requests_total", "Scoring requests that were answered, by HTTP status.", "code", CODES),
    _duration("podium_request_duration_seconds", "From a request's last byte to its answer."),
    _duration("podium_queue_duration_seconds", "What a request waited in the worker's queue."),
    _duration("podium_predict_duration_seconds", "What one batch took in the model."),
    Metric("podium_batch_rows", Kind.HISTOGRAM, "Rows of each batch; its count is that of batches.", bounds=_BATCH_ROWS),
    _counter("podium_rows_total", "Rows that were predicted."),
    _counter("podium_request_body_bytes_total", "Bytes of the bodies of scoring requests."),
    _counter("podium_response_body_bytes_total", "Bytes of the bodies of the answers to scoring requests."),
    _counter("podium_rejected_total", "Scoring requests turned away without a prediction.", "reason", REASONS),
    _counter("podium_retries_total", "Times that a request was sent to a worker again."),
    _counter("podium_crashed_requests_total", "Requests that a worker was running when it died."),
    _counter(
        "podium_errors_total", "Scoring requests that were answered with an error, by whose fault it was.", "kind", KINDS
    ),
    _counter(
        "podium_predictions_total",
        "Answers by what was predicted, while versions are compared: a number's size or a label's hash.",
        "cell",
        tuple(map(str, range(SKETCH_CELLS))),
    ),
    _counter("podium_shadow_requests_total", "Copies of requests, by what became of them.", "result", SHADOWED),
    replace(_duration("podium_shadow_duration_seconds", "From a copy's sending to its answer."), is_rare=True),
    _counter("podium_shadow_compared_total", "Copies whose answer was set beside the client's.", "result", COMPARISONS),
    Metric(
        "podium_shadow_difference_ratio",
        Kind.HISTOGRAM,
        "How far numbers of a copy's answer were from the client's, relative to the larger one.",
        bounds=_DIFFERENCES_PPM,
        scale=1_000_000,
        is_rare=True,
    ),
    _counter("podium_feedback_total", "Reports on answers, by what became of them.", "result", REPORTS),
    Metric(
        "podium_feedback_reward",
        Kind.HISTOGRAM,
        "How good answers were, by those reports that say it, 0 to 1.",
        bounds=_REWARDS,
        scale=REWARD_SCALE,
        is_rare=True,
    ),
    _counter("podium_feedback_labels_total", "Reports that say what an answer should have been."),
    _counter("podium_cache_requests_total", "Requests for which a kept answer was looked for.", "result", CACHED),
    Metric("podium_requests_in_flight", Kind.GAUGE, "Scoring requests that wait for their answer."),
    Metric("podium_request_body_bytes_in_flight", Kind.GAUGE, "Bytes of the bodies of the requests in flight."),
)
(
    REQUESTS, DURATION, QUEUE, PREDICT, BATCH_ROWS, ROWS, RECEIVED, SENT, REJECTED, RETRIES, CRASHES, ERRORS, PREDICTIONS,
    SHADOW_REQUESTS, SHADOW_DURATION, COMPARED, DIFFERENCE, FEEDBACK, REWARD, LABELS, CACHE, IN_FLIGHT, IN_FLIGHT_BYTES,
) = SERIES_METRICS  # fmt: skip

GAUGES = tuple(metric for metric in SERIES_METRICS if metric.kind is Kind.GAUGE)
# Counted while versions are compared, for whoever judges them; too fine to be shown.
LATENCY = Metric(
    "compared_latency",
    Kind.HISTOGRAM,
    "How long the model took for a request's batch.",
    bounds=LATENCY_BOUNDS_US,
    scale=1_000_000,
    offset=SERIES_METRICS[-1].offset + SERIES_METRICS[-1].cells,
)
REWARD_SQUARES = Metric(
    "feedback_reward_squares",
    Kind.COUNTER,
    "The sum of the rewards' squares: what a variance needs.",
    scale=REWARD_SCALE,
    offset=LATENCY.offset + LATENCY.cells,
)
CELLS = REWARD_SQUARES.offset + REWARD_SQUARES.cells

# What the supervisor tells (`Tell.metrics`: name, labels, value). A name that is not here is not shown.
SUPERVISOR_METRICS = (
    Metric("podium_replicas", Kind.GAUGE, "Worker processes, by version and state."),
    Metric("podium_replicas_wanted", Kind.GAUGE, "Worker processes that should be ready."),
    Metric("podium_worker_restarts_total", Kind.COUNTER, "Workers that were started again after they died."),
    Metric("podium_gateway_restarts_total", Kind.COUNTER, "Gateways that were started again after they died."),
    Metric("podium_load_failures_total", Kind.COUNTER, "Versions that did not load, by cause."),
    Metric("podium_model_load_duration_seconds", Kind.GAUGE, "What the version took to load."),
    Metric("podium_model_memory_bytes", Kind.GAUGE, "Resident memory of a worker when it became ready."),
    Metric("podium_model_info", Kind.GAUGE, "Always 1; the labels say what is served."),
    Metric("podium_traffic_share", Kind.GAUGE, "Share of the endpoint's traffic, 0 to 1."),
    Metric("podium_bandit_chance_ratio", Kind.GAUGE, "Probability that this version's answers are the best, by feedback."),
    Metric("podium_environment_mismatches", Kind.GAUGE, "Requirements of the model that are not met."),
    Metric("podium_environment_findings", Kind.GAUGE, "What the audit at load found, by severity."),
    Metric("podium_rollout_state", Kind.GAUGE, "1 for the state of the last rollout, 0 for the others."),
    Metric("podium_rollout_percent", Kind.GAUGE, "Share of the candidate by its rollout's schedule, 0 to 100."),
    Metric("podium_rollout_evidence_ratio", Kind.GAUGE, "Evidence against the candidate; 1 rejects it."),
    Metric("podium_pinned", Kind.GAUGE, "1 while somebody holds the endpoint at a version, else 0."),
    Metric("podium_registry_clock_skew_seconds", Kind.GAUGE, "How far the registry's clock is ahead of this machine's."),
    Metric("podium_registry_up", Kind.GAUGE, "1 when the registry answered last time, else 0."),
    Metric("podium_swaps_total", Kind.COUNTER, "Times that another version took over."),
    Metric("podium_batch_rows_limit", Kind.GAUGE, "Most rows of a batch, lowered where the device ran out of memory."),
    Metric("podium_device_memory_used_bytes", Kind.GAUGE, "Memory in use on a replica's device, whoever uses it."),
    Metric("podium_device_memory_bytes", Kind.GAUGE, "Memory of a replica's device."),
    Metric("podium_device_utilisation_ratio", Kind.GAUGE, "How busy a replica's device was lately, 0 to 1."),
)

# What a gateway knows beside the series: gauges that are read when asked.
QUEUED_ROWS = Metric("podium_queue_rows", Kind.GAUGE, "Rows that wait in the workers' queues.")
LOG_LINES_DROPPED = Metric(
    "podium_access_log_lines_dropped_total", Kind.COUNTER, "Access log lines lost to a slow or full disk."
)
BUILD_INFO = Metric("podium_build_info", Kind.GAUGE, "Always 1; the label is podium's version.")
READY = Metric("podium_ready", Kind.GAUGE, "1 when the server takes traffic, else 0.")
