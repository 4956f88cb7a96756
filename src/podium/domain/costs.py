"""What models cost: what they used, at somebody's prices. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from podium.errors import Misconfigured

_HOUR_S = 3600
_GIB = 1 << 30
_LEAST, _MOST = 0, 1e9


@dataclass(frozen=True, slots=True)
class Prices:
    """What an hour costs, in any currency.

    Args:
        cpu_hour: Of one processor that computes.
        memory_gib_hour: Of a GiB that is held.
        gpu_hour: Of one GPU that is held.
        currency: Shown with sums.
    """

    cpu_hour: float = 0.0
    memory_gib_hour: float = 0.0
    gpu_hour: float = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one version used, and what for.

    Args:
        model, version: Whose.
        cpu_s, memory_byte_s, gpu_s: Processors' time, memory times time, GPUs' time.
        requests, rows: That were answered, that were predicted.
    """

    model: str
    version: str
    cpu_s: float = 0.0
    memory_byte_s: float = 0.0
    gpu_s: float = 0.0
    requests: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What one version cost.

    Args:
        spent: What it used.
        cpu, memory, gpu: Their part.
    """

    spent: Spent
    cpu: float
    memory: float
    gpu: float

    @property
    def total(self) -> float:
        return self.cpu + self.memory + self.gpu

    @property
    def of_1000_rows(self) -> float | None:
        """For 1,000 predictions; None where there was none."""
        return 1000 * self.total / self.spent.rows if self.spent.rows else None

    @property
    def is_idle(self) -> bool:
        """Whether it cost something and answered nobody."""
        return not self.spent.requests and self.total > 0


def read_prices(entries: Mapping[str, Any], source: str) -> Prices:
    """Prices out of a file's content.

    Args:
        entries: `cpu_hour`, `memory_gib_hour`, `gpu_hour`, `currency`; what is missing costs nothing.
        source: The file, for errors.

    Raises:
        Misconfigured: An unknown name, a price that is no number of at least 0, or no price at all.
    """
    known = {field.name for field in fields(Prices)}
    unknown = sorted(set(entries) - known)
    if unknown:
        raise Misconfigured(f"{source}: there is no price {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
    for name, value in entries.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and _LEAST <= value <= _MOST
        if name == "currency" and not isinstance(value, str):
            raise Misconfigured(f"{source}: currency is {value!r}; expected a text.")
        if name != "currency" and not is_number:
            raise Misconfigured(f"{source}: {name} is {value!r}; expected a number of at least 0.")
    prices = Prices(**entries)
    if not (prices.cpu_hour or prices.memory_gib_hour or prices.gpu_hour):
        raise Misconfigured(f"{source}: it has no price above 0; say cpu_hour, memory_gib_hour or gpu_hour.")
    return prices


def costs_of(spent: Iterable[Spent], prices: Prices) -> list[ModelCost]:
    """What each version cost, the dearest first."""
    costs = [
        ModelCost(
            each,
            each.cpu_s / _HOUR_S * prices.cpu_hour,
            each.memory_byte_s / _GIB / _HOUR_S * prices.memory_gib_hour,
            each.gpu_s / _HOUR_S * prices.gpu_hour,
        )
        for each in spent
    ]
    return sorted(costs, key=lambda cost: (-cost.total, cost.spent.model, cost.spent.version))
