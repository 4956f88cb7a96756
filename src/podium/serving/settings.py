"""What a gateway is told at start: a frozen value, JSON both ways."""

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import msgspec

from podium.domain.clients.admission import Bounds
from podium.errors import Misconfigured
from podium.settings.access import AccessSettings
from podium.settings.declared import ValueKind, declare
from podium.settings.exports import GatewayExports
from podium.settings.limits import ClientLimits, ModelLimits
from podium.transport.frames import DEFAULT_LIMIT
from podium.web.limits import Limits

_limit = partial(declare, table="limits")
# A body goes to its worker in one frame; one that no worker takes would be sent again and again.
_MOST_BODY_BYTES = DEFAULT_LIMIT - (12 << 20)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Limits and time-outs of one gateway. Sizes in bytes, times in seconds.

    Args:
        timeout_s: From a request's last byte to its answer; then 504.
        max_body_bytes: A larger body gets 413.
        max_in_flight, max_in_flight_bytes: Requests taken at a time, and their bodies together; more gets 429.
        max_pending, max_pending_bytes: Of these, how many may wait for a replica while none is ready; more gets 503.
        pending_s: How long a request waits for a replica; then 503.
        max_replica_buffer_bytes: What may wait to be written to one worker that does not read; then it counts as full.
        max_connections: Open at a time; more are answered 503.
        max_url_bytes, max_header_bytes, max_headers: As in `web.limits.Limits`.
        idle_s, head_s, body_s, send_s, min_bytes_per_s: As in `web.limits.Limits`.
        drain_linger_s: While draining, how long an idle connection stays open for a request that is on its way.
        busy_wait_us: How long to look for the answer of a request that is alone, before the event loop goes on; 0 never.
        drain_limit_s: How long to drain when nobody says: the supervisor died, or SIGTERM came.
        access_log: File of the access log, shared by all gateways; None writes none.
        access_log_bytes, access_log_keep: Size at which it is put aside, and how many older ones stay.
        feedback_window_s: For so long after an answer feedback on it is taken; 0: never.
        quality_rate: So many answers a second are handed on to the monitor, to be held against labels; 0 none, nor labels.
        access: Who may ask for what.
        exports: Which requests are handed on to others; None hands on none.
        clients, every_model: What one client and one model may take.
        models: The same of models with limits of their own, by name.
    """

    timeout_s: float = 60.0
    max_body_bytes: int = _limit(100 << 20, "max_body", ValueKind.BYTES, "Largest request body.", most=_MOST_BODY_BYTES)
    max_in_flight: int = _limit(16_384, "max_in_flight", ValueKind.COUNT, "Requests that a gateway takes at a time.")
    max_in_flight_bytes: int = _limit(1 << 30, "max_in_flight_size", ValueKind.BYTES, "Their bodies together.")
    max_pending: int = _limit(2048, "max_pending", ValueKind.COUNT, "How many of them may wait for a replica.", least=0)
    max_pending_bytes: int = _limit(256 << 20, "max_pending_size", ValueKind.BYTES, "Their bodies together.", least=0)
    pending_s: float = _limit(30.0, "pending_timeout", ValueKind.SECONDS, "Seconds that a request waits for a replica.")
    max_replica_buffer_bytes: int = _limit(
        256 << 20, "max_replica_buffer", ValueKind.BYTES, "What may wait to be written to one worker."
    )
    max_connections: int = _limit(20_000, "max_connections", ValueKind.COUNT, "Connections of a gateway at a time.")
    max_url_bytes: int = _limit(8 << 10, "max_url", ValueKind.BYTES, "Longest request target.")
    max_header_bytes: int = _limit(64 << 10, "max_header", ValueKind.BYTES, "A request's header names and values together.")
    max_headers: int = _limit(128, "max_headers", ValueKind.COUNT, "Headers of a request.")
    idle_s: float = _limit(75.0, "idle_timeout", ValueKind.SECONDS, "Seconds between two requests of a connection.")
    head_s: float = _limit(15.0, "head_timeout", ValueKind.SECONDS, "Seconds for a request's headers to arrive.")
    body_s: float = _limit(
        30.0, "body_timeout", ValueKind.SECONDS, "Seconds for a body to arrive, beside its size's share."
    )
    send_s: float = _limit(30.0, "send_timeout", ValueKind.SECONDS, "Seconds for a client to take its answer, likewise.")
    min_bytes_per_s: int = _limit(64 << 10, "min_rate", ValueKind.BYTES, "A size's share: bytes for each second more.")
    drain_linger_s: float = _limit(
        1.0, "drain_linger", ValueKind.SECONDS, "Seconds that an idle connection stays open while draining.", least=0
    )
    drain_limit_s: float = 30.0
    busy_wait_us: int = 0
    access_log: str | None = None
    access_log_bytes: int = _limit(
        64 << 20, "access_log_size", ValueKind.BYTES, "Size at which the access log is put aside.", table="serve"
    )
    access_log_keep: int = _limit(
        5, "access_log_keep", ValueKind.COUNT, "How many that were put aside stay.", table="serve", least=0
    )
    feedback_window_s: float = declare(
        3600.0,
        "feedback_window",
        ValueKind.SECONDS,
        "Seconds after an answer in which feedback on it is taken; 0 takes none.",
        least=0,
    )
    quality_rate: int = declare(
        20,
        "quality_rate",
        ValueKind.COUNT,
        "Answers a second of each gateway that monitor.db keeps for labels to come; 0 keeps none, nor labels.",
        least=0,
        most=10_000,
    )
    access: AccessSettings = AccessSettings()  # noqa: RUF009
    exports: GatewayExports | None = None
    clients: ClientLimits = ClientLimits()  # noqa: RUF009
    every_model: ModelLimits = ModelLimits()  # noqa: RUF009
    models: Mapping[str, ModelLimits] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and (value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO)):
                raise Misconfigured(f"the gateway setting {field.name} is {value}; it must be more than 0")

    @property
    def limits(self) -> Limits:
        """What one client may take."""
        return Limits(
            url_bytes=self.max_url_bytes,
            header_bytes=self.max_header_bytes,
            headers=self.max_headers,
            body_bytes=self.max_body_bytes,
            buffered_bytes=self.max_in_flight_bytes,
            connections=self.max_connections,
            idle_s=self.idle_s,
            head_s=self.head_s,
            body_s=self.body_s,
            send_s=self.send_s,
            bytes_per_s=self.min_bytes_per_s,
        )

    @property
    def in_flight(self) -> Bounds:
        return Bounds(self.max_in_flight, self.max_in_flight_bytes)

    @property
    def pending(self) -> Bounds:
        return Bounds(self.max_pending, self.max_pending_bytes)

    def to_json(self) -> str:
        """One line for `--settings`."""
        return msgspec.json.encode(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> "GatewaySettings":
        """Read `to_json`'s line; what is missing has its default.

        Raises:
            Misconfigured: Not JSON, an unknown name, or a value that does not fit.
        """
        try:
            entry: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
            unknown = sorted(entry.keys() - {field.name for field in fields(cls)})
            if unknown:
                raise Misconfigured(f"there is no gateway setting {', '.join(unknown)}")
            return msgspec.convert(entry, type=cls)
        except msgspec.MsgspecError as error:
            raise Misconfigured(f"the gateway's settings cannot be read: {error}") from error


_MAY_BE_ZERO = frozenset(
    {
        "busy_wait_us",
        "feedback_window_s",
        "quality_rate",
        "drain_linger_s",
        "drain_limit_s",
        "access_log_keep",
        "max_pending",
        "max_pending_bytes",
    }
)
