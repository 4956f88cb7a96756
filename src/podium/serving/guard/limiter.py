"""Rates of keys, addresses and models, for the whole server: a token of each bucket for each request, or none of any."""

import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podium.domain.clients.access import Principal
from podium.domain.clients.rates import Rate, take
from podium.errors import Overloaded
from podium.settings.limits import ClientLimits, ModelLimits, rates_of
from podium.telemetry.buckets import Buckets

_MOST_ADDRESSES = 4096
_MOST_TOLD = 20_000
_S = 1_000_000_000


class Limit:
    """One rate of somebody or something, where its bucket stands, and how the header lines of it begin."""

    __slots__ = ("line", "mark", "name", "pace", "place", "rate", "whose")

    def __init__(self, whose: str, rate: Rate, buckets: Buckets, name: str) -> None:
        self.whose = whose
        self.rate = rate
        self.pace = rate.pace
        self.line = b"ratelimit-limit: %d\r\nratelimit-remaining: " % rate.burst
        self.name = f"{name} {rate.text}"
        self.mark = buckets.mark_of(self.name)
        self.place = buckets.place_of(self.mark)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A limit with no token left.

    Args:
        limit: Which.
        wait_ns: Until there is one.
        reset_ns: Until the bucket is full.
    """

    limit: Limit
    wait_ns: int
    reset_ns: int

    @property
    def error(self) -> Overloaded:
        """For the client."""
        wait_s = self.wait_ns / _S
        told = f"The limit of {self.limit.rate.text} for {self.limit.whose} is used up. Try again in {wait_s:.3g} s."
        return Overloaded(told, wait_s)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values that say it."""
        return (
            ("ratelimit-limit", str(self.limit.rate.burst)),
            ("ratelimit-remaining", "0"),
            ("ratelimit-reset", str(-(-self.reset_ns // _S))),
            ("retry-after", str(-(-self.wait_ns // _S))),
        )


class Limiter:
    """Takes tokens. Event loop's thread only; what it takes is gone for all gateways.

    Args:
        clients: Limits of one client.
        model: Limits of a model that has none of its own.
        models: Of each that has, by name.
        buckets: The server's.

    Attributes:
        has_any: Whether anything is limited.
        is_alone: The store that shares rates with other servers does not answer.
    """

    def __init__(
        self, clients: ClientLimits, model: ModelLimits, models: Mapping[str, ModelLimits], buckets: Buckets
    ) -> None:
        self._buckets = buckets
        self._per_key = rates_of(clients.rate_per_key)
        self._per_address = rates_of(clients.rate_per_address)
        self._per_model = rates_of(model.rate_per_model)
        self._models = {name: rates_of(each.rate_per_model) for name, each in models.items()}
        self._addresses: dict[str, tuple[Limit, ...]] = {}
        self._is_shared = clients.rate_store is not None
        self._refuses_alone = clients.rate_store_down == "refuse"
        self._taken: dict[int, tuple[Limit, int]] = {}
        self.is_alone = False
        self.has_any = bool(self._per_key or self._per_address or self._per_model or any(self._models.values()))

    def limits_of(self, principal: Principal, endpoint: str) -> tuple[Limit, ...]:
        """What is the same for all requests of somebody for a model; empty names stand for nobody and no model."""
        found = []
        if principal.name:
            found += [Limit("your key", rate, self._buckets, f"principal {principal.name}") for rate in self._per_key]
        if endpoint:
            rates = self._models.get(endpoint, self._per_model)
            found += [Limit(f"the model {endpoint}", rate, self._buckets, f"model {endpoint}") for rate in rates]
        return tuple(found)

    def of_address(self, address: str) -> tuple[Limit, ...]:
        """What holds for whoever asks from there."""
        if not self._per_address:
            return ()
        found = self._addresses.get(address)
        if found is None:
            if len(self._addresses) >= _MOST_ADDRESSES:
                self._addresses.clear()
            network = network_of(address)
            found = tuple(Limit("your address", rate, self._buckets, f"address {network}") for rate in self._per_address)
            self._addresses[address] = found
        return found

    def taken(self) -> list[tuple[Limit, int]]:
        """What was taken since this was asked last, for whoever tells other servers."""
        taken, self._taken = self._taken, {}
        return list(taken.values())

    @property
    def is_refusing(self) -> bool:
        """Whether nobody who is limited passes, as nobody knows what other servers let through."""
        return self.is_alone and self._refuses_alone

    def take(self, limits: Sequence[Limit]) -> bytes | Shortage:
        """Take a token for each limit, or none: lines that say what is left of the scarcest, or which is short.

        `limits` holds one at least.
        """
        cells = self._buckets.cells
        now = time.monotonic_ns()
        full_ats, paces = [], []
        for limit in limits:
            place = limit.place
            if cells[place - 1] != limit.mark:
                place = limit.place = self._buckets.place_of(limit.mark)
            full_ats.append(cells[place])
            paces.append(limit.pace)
        afters, scarcest, tokens, wait_ns = take(full_ats, now, paces)
        if wait_ns:
            return Shortage(limits[scarcest], wait_ns, full_ats[scarcest] - now)
        for limit, after in zip(limits, afters):  # noqa: B905  as many; to have it checked costs as much
            cells[limit.place] = after
        if self._is_shared:
            self._note(limits)
        return b"%s%d\r\nratelimit-reset: %d\r\n" % (limits[scarcest].line, tokens, -((now - afters[scarcest]) // _S))

    def is_short(self, limits: Sequence[Limit]) -> bool:
        """Whether `take` would find one of the limits short; nothing is taken."""
        place_of, cells = self._buckets.place_of, self._buckets.cells
        full_ats = [cells[place_of(limit.mark)] for limit in limits]
        return bool(take(full_ats, time.monotonic_ns(), [limit.pace for limit in limits])[3])

    def _note(self, limits: Sequence[Limit]) -> None:
        """Remember what was taken, for `taken`."""
        for limit in limits:
            if limit.mark in self._taken or len(self._taken) < _MOST_TOLD:
                self._taken[limit.mark] = (limit, self._taken.get(limit.mark, (limit, 0))[1] + 1)


def network_of(address: str) -> str:
    """Whom an address stands for: of IPv6, one network of 64 bits, of which one client has every address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
