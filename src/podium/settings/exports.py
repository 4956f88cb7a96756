"""What a server tells others of its requests: payloads and traces. All of it is off until somebody asks for it."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from podium.errors import Misconfigured
from podium.settings.declared import ValueKind, declare

_telemetry = partial(declare, table="telemetry")
_PORTS = 1 << 16
OFF, JSONL, PARQUET = "off", "jsonl", "parquet"


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What leaves a server beside its answers.

    Args:
        payload_log: How requests and answers are kept in files under PODIUM_HOME/payloads.
        payload_url: Who gets them as CloudEvents; None nobody.
        payload_sample: Which part of the requests, 0 to 1.
        payload_columns: The columns that are kept; empty keeps all.
        payload_hashes: Columns whose values are kept as keyed hashes.
        payload_subject: The column that says whose data a row is.
        payload_max_bytes: A longer body is left out of its row.
        payload_keep_days, payload_most_bytes: Older files go, and the oldest of more.
        otlp_endpoint: OpenTelemetry's collector; None where nobody is told.
        trace_sample: Part of the requests that become traces, where whoever asks does not say.
        otlp_metrics: Whether the collector gets metrics, too.
        statsd: Where DogStatsD listens, HOST:PORT or unix://PATH; None where nobody is told.
        folder: Where files are kept.
        key_file: What hashes are keyed with.
    """

    payload_log: str = _telemetry(
        OFF,
        "payload_log",
        ValueKind.WORD,
        "Keep requests and answers in files: JSON lines, or Parquet once a file is full.",
        choices=(OFF, JSONL, PARQUET),
    )
    payload_url: str | None = _telemetry(
        None,
        "payload_url",
        ValueKind.TEXT,
        "http(s)://… that gets each request and answer as CloudEvents.",
        default_text="nobody",
        is_hook=True,
    )
    payload_sample: float = _telemetry(1.0, "payload_sample", ValueKind.RATIO, "Part of the requests that are kept.")
    payload_columns: tuple[str, ...] = _telemetry(
        (), "payload_column", ValueKind.TEXTS, "Columns that may be kept; without any, all.", default_text="all"
    )
    payload_hashes: tuple[str, ...] = _telemetry(
        (), "payload_hash", ValueKind.TEXTS, "Columns whose values are kept as keyed hashes.", default_text="none"
    )
    payload_subject: str | None = _telemetry(
        None,
        "payload_subject",
        ValueKind.TEXT,
        "Column that says whose data a row is, for `podium requests erase --subject`.",
        default_text="none",
    )
    payload_max_bytes: int = _telemetry(
        1 << 20, "payload_max_body", ValueKind.BYTES, "A longer body is left out of its row.", most=64 << 20
    )
    payload_keep_days: int = _telemetry(
        30, "payload_keep_days", ValueKind.COUNT, "Days after which kept payloads are removed."
    )
    payload_most_bytes: int = _telemetry(
        10 << 30, "payload_max_size", ValueKind.BYTES, "What all kept payloads may take; the oldest go."
    )
    otlp_endpoint: str | None = _telemetry(
        None,
        "otlp_endpoint",
        ValueKind.TEXT,
        "http(s)://… of an OpenTelemetry collector (OTLP over HTTP), such as http://localhost:4318.",
        default_text="none",
    )
    trace_sample: float = _telemetry(
        0.01, "trace_sample", ValueKind.RATIO, "Part of the requests that become traces, where their sender does not say."
    )
    otlp_metrics: bool = _telemetry(
        True, "otlp_metrics", ValueKind.SWITCH, "Send metrics to that collector, too, once a minute."
    )
    statsd: str | None = _telemetry(
        None,
        "statsd",
        ValueKind.TEXT,
        "HOST:PORT or unix://PATH of Datadog's agent (DogStatsD), which gets metrics every 10 seconds.",
        default_text="none",
    )
    folder: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if self.payload_log not in (OFF, JSONL, PARQUET):
            raise Misconfigured(f"payload_log = {self.payload_log}: must be one of {OFF}, {JSONL}, {PARQUET}")
        if self.payload_url is not None and not self.payload_url.startswith(("http://", "https://")):
            raise Misconfigured("telemetry.payload_url must begin with http:// or https://")
        if self.otlp_endpoint is not None and not self.otlp_endpoint.startswith(("http://", "https://")):
            raise Misconfigured(
                "telemetry.otlp_endpoint must begin with http:// or https://, such as http://localhost:4318"
            )

        _ = self.statsd_address

    def to_json(self) -> str:
        """For the exporter."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ExportSettings":
        """Read `to_json`'s text.

        Raises:
            Misconfigured: It is none.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            fields: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
            return cls(**fields)
        except (ValueError, TypeError, AttributeError) as error:
            raise Misconfigured(f"the exporter's settings cannot be read: {error}") from error

    @property
    def is_on(self) -> bool:
        """Whether there is anything to export."""
        return self.of_gateway is not None or self.has_metrics

    @property
    def has_metrics(self) -> bool:
        """Whether somebody is sent metrics."""
        return self.statsd is not None or (self.otlp_endpoint is not None and self.otlp_metrics)

    @property
    def statsd_address(self) -> str | tuple[str, int] | None:
        """A path, or host and port.

        Raises:
            Misconfigured: It is neither.
        """
        if self.statsd is None:
            return None
        if self.statsd.startswith("unix://"):
            return self.statsd.removeprefix("unix://")
        host, colon, port = self.statsd.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < _PORTS:
            raise Misconfigured(f"telemetry.statsd is {self.statsd}; expected HOST:PORT or unix://PATH")
        return host.strip("[]"), int(port)

    @property
    def has_payloads(self) -> bool:
        """Whether requests and answers are kept or sent."""
        return (self.payload_log != OFF or self.payload_url is not None) and self.payload_sample > 0

    @property
    def of_gateway(self) -> "GatewayExports | None":
        """What a gateway needs of it; None where it has nothing to hand on."""
        if not self.has_payloads and self.otlp_endpoint is None:
            return None
        kept = self.payload_sample if self.has_payloads else 0.0
        return GatewayExports(kept, self.payload_max_bytes, None if self.otlp_endpoint is None else self.trace_sample)


@dataclass(frozen=True, slots=True)
class GatewayExports:
    """Which requests a gateway hands on; nothing of it is a secret.

    Args:
        payload_sample: Part of the requests with bodies, 0 to 1.
        payload_max_bytes: A longer body stays behind.
        trace_sample: Part of the requests that become traces, where their sender does not say; None traces none.
    """

    payload_sample: float = 0.0
    payload_max_bytes: int = 1 << 20
    trace_sample: float | None = None
