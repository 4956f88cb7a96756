"""Every metric of the scoring path, declared once: name, unit, labels, help, and the cells that hold it.

A series is one version of one endpoint (or the requests that reached no version). Its numbers are unsigned 64-bit cells,
one block for each gateway; only sums of cells are ever shown: whole microseconds and bytes are counted, never fractions.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import Enum

from podium.domain.rollouts.evidence import LATENCY_BOUNDS_US, SKETCH_CELLS


class MetricKind(Enum):
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
        is_rare: What most series never have: it is shown of those that counted something.
    """

    name: str
    kind: MetricKind
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
        if self.kind is MetricKind.HISTOGRAM:
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
    return Metric(name, MetricKind.HISTOGRAM, text, bounds=_DURATIONS_US, scale=1_000_000)


def _counter(name: str, text: str, label: str | None = None, values: tuple[str, ...] = ()) -> Metric:
    return Metric(name, MetricKind.COUNTER, text, label, values)


def _spent(name: str, text: str, scale: int = 1) -> Metric:
    return Metric(name, MetricKind.COUNTER, text, scale=scale, is_rare=True)


_COUNTED = _laid_out(
    _counter("podium_requests_total", "Scoring requests that were answered, by HTTP status.", "code", CODES),
    _duration("podium_request_duration_seconds", "From a request's last byte to its answer."),
    _duration("podium_queue_duration_seconds", "What a request waited in the worker's queue."),
    _duration("podium_predict_duration_seconds", "What one batch took in the model."),
    Metric(
        "podium_batch_rows", MetricKind.HISTOGRAM, "Rows of each batch; its count is that of batches.", bounds=_BATCH_ROWS
    ),
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
        MetricKind.HISTOGRAM,
        "How far numbers of a copy's answer were from the client's, relative to the larger one.",
        bounds=_DIFFERENCES_PPM,
        scale=1_000_000,
        is_rare=True,
    ),
    _counter("podium_feedback_total", "Reports on answers, by what became of them.", "result", REPORTS),
    Metric(
        "podium_feedback_reward",
        MetricKind.HISTOGRAM,
        "How good answers were, by those reports that say it, 0 to 1.",
        bounds=_REWARDS,
        scale=REWARD_SCALE,
        is_rare=True,
    ),
    _counter("podium_feedback_labels_total", "Reports that say what an answer should have been."),
    _counter("podium_cache_requests_total", "Requests for which a kept answer was looked for.", "result", CACHED),
    Metric("podium_cache_answers", MetricKind.GAUGE, "Answers that are kept, of all gateways together.", is_rare=True),
    Metric("podium_cache_bytes", MetricKind.GAUGE, "What kept answers take, of all gateways together.", is_rare=True),
    _spent("podium_model_cpu_seconds_total", "Processors' time of the version's workers, loading included.", 1_000_000),
    _spent("podium_model_memory_byte_seconds_total", "Memory of the version's workers, times how long they held it."),
    _spent("podium_model_gpu_seconds_total", "Time that the version's workers held a GPU.", 1_000_000),
    Metric("podium_requests_in_flight", MetricKind.GAUGE, "Scoring requests that wait for their answer."),
    Metric("podium_request_body_bytes_in_flight", MetricKind.GAUGE, "Bytes of the bodies of the requests in flight."),
    # The last two are counted for whoever judges versions, and too fine to be shown.
    Metric(
        "compared_latency",
        MetricKind.HISTOGRAM,
        "How long the model took for a request's batch.",
        bounds=LATENCY_BOUNDS_US,
        scale=1_000_000,
    ),
    Metric(
        "feedback_reward_squares",
        MetricKind.COUNTER,
        "The sum of the rewards' squares: what a variance needs.",
        scale=REWARD_SCALE,
    ),
)
SERIES_METRICS, (LATENCY, REWARD_SQUARES) = _COUNTED[:-2], _COUNTED[-2:]
(
    REQUESTS, DURATION, QUEUE, PREDICT, BATCH_ROWS, ROWS, RECEIVED, SENT, REJECTED, RETRIES, CRASHES, ERRORS, PREDICTIONS,
    SHADOW_REQUESTS, SHADOW_DURATION, COMPARED, DIFFERENCE, FEEDBACK, REWARD, LABELS, CACHE, CACHE_ANSWERS, CACHE_BYTES,
    CPU_TIME, MEMORY_TIME, GPU_TIME, IN_FLIGHT, IN_FLIGHT_BYTES,
) = SERIES_METRICS  # fmt: skip

GAUGES = tuple(metric for metric in SERIES_METRICS if metric.kind is MetricKind.GAUGE)
CELLS = REWARD_SQUARES.offset + REWARD_SQUARES.cells

# What the supervisor tells (`Tell.metrics`: name, labels, value). A name that is not here is not shown.
SUPERVISOR_METRICS = (
    Metric("podium_replicas", MetricKind.GAUGE, "Worker processes, by version and state."),
    Metric("podium_replicas_wanted", MetricKind.GAUGE, "Worker processes that should be ready."),
    Metric("podium_worker_restarts_total", MetricKind.COUNTER, "Workers that were started again after they died."),
    Metric("podium_gateway_restarts_total", MetricKind.COUNTER, "Gateways that were started again after they died."),
    Metric("podium_load_failures_total", MetricKind.COUNTER, "Versions that did not load, by cause."),
    Metric("podium_model_load_duration_seconds", MetricKind.GAUGE, "What the version took to load."),
    Metric("podium_model_memory_bytes", MetricKind.GAUGE, "Resident memory of a worker when it became ready."),
    Metric("podium_model_info", MetricKind.GAUGE, "Always 1; the labels say what is served."),
    Metric("podium_traffic_share", MetricKind.GAUGE, "Share of the endpoint's traffic, 0 to 1."),
    Metric(
        "podium_bandit_chance_ratio", MetricKind.GAUGE, "Probability that this version's answers are the best, by feedback."
    ),
    Metric("podium_environment_mismatches", MetricKind.GAUGE, "Requirements of the model that are not met."),
    Metric("podium_environment_findings", MetricKind.GAUGE, "What the audit at load found, by severity."),
    Metric("podium_alerts_firing", MetricKind.GAUGE, "Alerts that fire, by severity."),
    Metric("podium_alert_firing", MetricKind.GAUGE, "1 for each alert that fires; the labels say which and where."),
    Metric("podium_notifications_total", MetricKind.COUNTER, "Notifications of alerts, by channel and result."),
    Metric(
        "podium_clock_started_timestamp_seconds",
        MetricKind.GAUGE,
        "Since when something of a version has been growing old.",
    ),
    Metric("podium_clock_limit_seconds", MetricKind.GAUGE, "From which age on that is an alert."),
    Metric("podium_rollout_state", MetricKind.GAUGE, "1 for the state of the last rollout, 0 for the others."),
    Metric("podium_rollout_percent", MetricKind.GAUGE, "Share of the candidate by its rollout's schedule, 0 to 100."),
    Metric("podium_rollout_evidence_ratio", MetricKind.GAUGE, "Evidence against the candidate; 1 rejects it."),
    Metric("podium_pinned", MetricKind.GAUGE, "1 while somebody holds the endpoint at a version, else 0."),
    Metric(
        "podium_registry_clock_skew_seconds", MetricKind.GAUGE, "How far the registry's clock is ahead of this machine's."
    ),
    Metric("podium_registry_up", MetricKind.GAUGE, "1 when the registry answered last time, else 0."),
    Metric("podium_swaps_total", MetricKind.COUNTER, "Times that another version took over."),
    Metric(
        "podium_batch_rows_limit", MetricKind.GAUGE, "Most rows of a batch, lowered where the device ran out of memory."
    ),
    Metric("podium_device_memory_used_bytes", MetricKind.GAUGE, "Memory in use on a replica's device, whoever uses it."),
    Metric("podium_device_memory_bytes", MetricKind.GAUGE, "Memory of a replica's device."),
    Metric("podium_device_utilisation_ratio", MetricKind.GAUGE, "How busy a replica's device was lately, 0 to 1."),
    # The monitor's, which tells the supervisor.
    Metric("podium_drift_score", MetricKind.GAUGE, "How far a column's last window is from the profile."),
    Metric("podium_drift_threshold", MetricKind.GAUGE, "The score from which a column's drift is an alert."),
    Metric("podium_drift_alert", MetricKind.GAUGE, "1 while a column's drift stands, else 0."),
    Metric("podium_column_missing_ratio", MetricKind.GAUGE, "Share of the last window's rows without a value."),
    Metric("podium_column_unseen_ratio", MetricKind.GAUGE, "Share of categories that the profile does not name."),
    Metric("podium_column_out_of_range_ratio", MetricKind.GAUGE, "Share of values beyond the profile's range."),
    Metric("podium_column_alert", MetricKind.GAUGE, "1 while what is beside a column's drift stands, else 0."),
    Metric("podium_prediction_drift_score", MetricKind.GAUGE, "How far the predictions are from the profile."),
    Metric("podium_prediction_drift_alert", MetricKind.GAUGE, "1 while the predictions' drift stands, else 0."),
    Metric(
        "podium_multivariate_drift_score",
        MetricKind.GAUGE,
        "How far rows of the last window are from what the profile says of columns together.",
    ),
    Metric(
        "podium_multivariate_drift_threshold",
        MetricKind.GAUGE,
        "The score from which drift of the columns together is an alert, on the side where the score is.",
    ),
    Metric("podium_multivariate_drift_alert", MetricKind.GAUGE, "1 while drift of the columns together stands, else 0."),
    Metric("podium_drifted_columns", MetricKind.GAUGE, "Columns whose drift stands."),
    Metric("podium_monitored_columns", MetricKind.GAUGE, "Columns of which the last window had enough rows to judge."),
    Metric("podium_drift_window_rows", MetricKind.GAUGE, "Rows of the last window."),
    Metric("podium_drift_last_evaluation_timestamp_seconds", MetricKind.GAUGE, "When the last window was judged."),
    Metric("podium_quality", MetricKind.GAUGE, "How good a version is by the labels that came back."),
    Metric("podium_quality_baseline", MetricKind.GAUGE, "How good it was on the rows of its profile."),
    Metric("podium_quality_window_rows", MetricKind.GAUGE, "Rows with a label that a figure of quality rests on."),
    Metric("podium_quality_is_worse", MetricKind.GAUGE, "1 while a figure is worse than its baseline by more than chance."),
    Metric("podium_label_coverage_ratio", MetricKind.GAUGE, "Share of the kept predictions of a day that have a label."),
    Metric("podium_label_delay_seconds", MetricKind.GAUGE, "How long after their predictions labels come."),
    Metric("podium_estimated_quality", MetricKind.GAUGE, "How good the last window is estimated to be, without labels."),
    Metric("podium_monitor_rows_total", MetricKind.COUNTER, "Rows that were counted by a profile."),
    Metric("podium_monitor_dropped_rows_total", MetricKind.COUNTER, "Rows that were answered and not counted."),
    Metric("podium_monitor_queue_rows", MetricKind.GAUGE, "Rows that were answered and are to be counted yet."),
    Metric("podium_monitor_sampling_ratio", MetricKind.GAUGE, "Share of the answered rows that are counted."),
    Metric(
        "podium_monitor_unwritten_seconds", MetricKind.GAUGE, "For how long the monitor's history could not be written."
    ),
)

# What a gateway knows beside the series: gauges that are read when asked.
QUEUED_ROWS = Metric("podium_queue_rows", MetricKind.GAUGE, "Rows that wait in the workers' queues.")
LOG_LINES_DROPPED = Metric(
    "podium_access_log_lines_dropped_total", MetricKind.COUNTER, "Access log lines lost to a slow or full disk."
)
PAYLOADS = Metric(
    "podium_payload_events_total", MetricKind.COUNTER, "Requests of the payload log, by where they were to go."
)
PAYLOAD_SINKS = ("gateway", "files", "http")
PAYLOAD_RESULTS = ("written", "dropped", "failed")
SPANS = Metric("podium_trace_spans_total", MetricKind.COUNTER, "Spans for OpenTelemetry's collector.")
REMEMBERED = Metric(
    "podium_remembered_answers_total", MetricKind.COUNTER, "Answers for labels to come, by whether the monitor gets them."
)
REMEMBERED_RESULTS = ("kept", "skipped", "large", "dropped")
EXPORTED = (
    *(f"{sink}_{result}" for sink in (*PAYLOAD_SINKS, "spans") for result in PAYLOAD_RESULTS),
    *(f"answers_{result}" for result in REMEMBERED_RESULTS),
)
"""What is counted of what is handed on; `gateway_dropped` and `answers_…` by gateways, the rest by the exporter."""
BUILD_INFO = Metric("podium_build_info", MetricKind.GAUGE, "Always 1; the label is podium's version.")
READY = Metric("podium_ready", MetricKind.GAUGE, "1 when the server takes traffic, else 0.")
