"""How much one client or one model may take of a server: frozen values that each gateway gets."""

from dataclasses import dataclass
from functools import partial

from podium.domain.clients.rates import Rate, parse_rates
from podium.errors import InvalidInput, Misconfigured
from podium.settings.declared import ValueKind, declare

_limit = partial(declare, table="limits")
_of_model = partial(declare, table="limits", is_of_model=True)


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client may take.

    Args:
        rate_per_key: Of one key, token or certificate, as `domain.limits.parse_rates` reads it; None has no limit.
        rate_per_address: Of one address (of IPv6, one network of 64 bits), known or not.
        max_in_flight_per_key: Requests of one at a time, on each gateway.
        rate_store: Redis, through which several servers share rates; None keeps them to this one.
        rate_store_down: While it does not answer: each server by itself (`local`), or nobody who is limited (`refuse`).
    """

    rate_per_key: str | None = _limit(
        None,
        "rate_per_key",
        ValueKind.TEXT,
        "Requests of one key, token or certificate: 100/s, 5000/m burst 200, 100000/d.",
    )
    rate_per_address: str | None = _limit(None, "rate_per_address", ValueKind.TEXT, "Requests of one client's address.")
    max_in_flight_per_key: int | None = _limit(
        None,
        "max_in_flight_per_key",
        ValueKind.COUNT,
        "Requests of one key at a time, for each gateway.",
        default_text="none",
    )

    rate_store: str | None = _limit(
        None, "rate_store", ValueKind.TEXT, "Share rates with other servers: redis://HOST:PORT/NUMBER.", default_text="none"
    )
    rate_store_down: str = _limit(
        "local",
        "rate_store_down",
        ValueKind.WORD,
        "While it does not answer: each server by itself, or nobody who is limited.",
        choices=("local", "refuse"),
    )

    def __post_init__(self) -> None:
        for name in ("rate_per_key", "rate_per_address"):
            rates_of(getattr(self, name), name)

    @property
    def are_any(self) -> bool:
        return self.rate_per_key is not None or self.rate_per_address is not None


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What one model may take, from all its clients together.

    Args:
        rate_per_model: As `ClientLimits.rate_per_key`.
        max_in_flight_per_model: Requests at a time, on each gateway.
        max_body_per_model: Bytes of a request's body.
        cache_bytes: Answers that are kept on each gateway, to be given again; None keeps none.
    """

    rate_per_model: str | None = _of_model(None, "rate_per_model", ValueKind.TEXT, "Requests for one model.")
    max_in_flight_per_model: int | None = _of_model(
        None, "max_in_flight_per_model", ValueKind.COUNT, "Requests for one model at a time, for each gateway."
    )
    max_body_per_model: int | None = _of_model(
        None, "max_body_per_model", ValueKind.BYTES, "Largest body for one model, below max_body."
    )

    cache_bytes: int | None = declare(
        None,
        "cache",
        ValueKind.BYTES,
        "Keep so much of its answers on each gateway, to be given again; only where the same request has the same answer.",
        least=1 << 16,
        default_text="none",
        is_of_model=True,
    )

    def __post_init__(self) -> None:
        rates_of(self.rate_per_model, "rate_per_model")


def rates_of(text: str | None, name: str = "") -> tuple[Rate, ...]:
    """The rates that a setting says; none where it says nothing.

    Raises:
        Misconfigured: It says something else.
    """
    try:
        return () if text is None else parse_rates(text)
    except InvalidInput as error:
        raise Misconfigured(f"{name}: {error.message}") from error
