"""Rates of keys, addresses and models, for the whole server: a token of each bucket for each request, or none of any.

Requests of one turn of the event loop that count against the same limits share a tab where those are far from short: the
first is looked at, the others are let through and counted when the turn ends, or their tab is full. Until then another
gateway sees that many tokens too many, of thousands; none is ever forgotten.
"""

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from podium.domain.clients.access import Principal
from podium.domain.clients.rates import Rate, TokenBucket, take
from podium.errors import Overloaded
from podium.settings.limits import ClientLimits, ModelLimits, rates_of
from podium.telemetry.buckets import Buckets

_MOST_ADDRESSES = 4096
_MOST_SETS = 4096
_ON_TAB = 64
_PLENTY = 64 * _ON_TAB  # tokens: what as many gateways have on their tabs makes none of them short
_SOON_NS = 200_000  # who comes no sooner after another is alone in his turn, and a tab would cost more than it saves
_MOST_TOLD = 20_000
_S = 1_000_000_000
_LINES = b"%b%d\r\nratelimit-reset: %d\r\n"


class Limit(TokenBucket):
    """One rate of somebody or something, where its bucket stands, and how the header lines of it begin."""

    __slots__ = ("line", "mark", "name", "rate", "whose")

    def __init__(self, whose: str, rate: Rate, buckets: Buckets, name: str) -> None:
        self.whose = whose
        self.rate = rate
        self.line = b"ratelimit-limit: %d\r\nratelimit-remaining: " % rate.burst
        self.name = f"{name} {rate.text}"
        self.mark = buckets.mark_of(self.name)
        super().__init__(rate, buckets.place_of(self.mark))


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
        at_end: Calls somebody when this turn of the event loop ends; None: everything is counted at once.
        clock: Nanoseconds, monotonic.

    Attributes:
        has_any: Whether anything is limited.
        is_alone: The store that shares rates with other servers does not answer.
    """

    def __init__(
        self,
        clients: ClientLimits,
        model: ModelLimits,
        models: Mapping[str, ModelLimits],
        buckets: Buckets,
        at_end: Callable[[Callable[[], None]], object] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._buckets = buckets
        self._at_end = at_end
        self._clock = clock
        self._sets: dict[tuple[int, ...], tuple[Limit, ...]] = {}
        self._last: tuple[Sequence[Limit], int] = (), 0  # what was counted last, and when
        self._is_tab_due = False
        self._tab: Sequence[Limit] | None = None  # whose requests are on it
        self._tab_left = self._tab_floor = self._tab_gap = self._tab_step = self._tab_began = 0
        self._tab_line = b""
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

    def joined(self, limits: Sequence[Limit], others: Sequence[Limit]) -> tuple[Limit, ...]:
        """Both together, each once: the same object for the same ones, so that their requests can share a tab."""
        both = {limit.mark: limit for limit in (*limits, *others)}
        marks = tuple(both)
        found = self._sets.get(marks)
        if found is None:
            if len(self._sets) >= _MOST_SETS:
                self._sets.clear()
            found = self._sets[marks] = tuple(both.values())
        return found

    def taken(self) -> list[tuple[Limit, int]]:
        """What was taken since this was asked last, for whoever tells other servers."""
        self._settle()
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
        if limits is self._tab and self._tab_left:
            self._tab_left = left = self._tab_left - 1
            return _LINES % (self._tab_line, self._tab_floor + left, -((self._tab_gap + left * self._tab_step) // _S))
        if self._tab is not None:
            self._settle()
        cells = self._buckets.cells
        for limit in limits:
            if cells[limit.place - 1] != limit.mark:
                limit.place = self._buckets.place_of(limit.mark)
        now = self._clock()
        scarcest, tokens, wait_ns = take(cells, limits, now)
        if wait_ns:
            return Shortage(scarcest, wait_ns, cells[scarcest.place] - now)
        for limit in limits:
            cells[limit.place] = limit.after_ns
        if self._is_shared:
            self._note(limits, 1)
        last, self._last = self._last, (limits, now)
        if last[0] is limits and now - last[1] < _SOON_NS and tokens >= _PLENTY and self._at_end is not None:
            self._open_tab(limits, now, scarcest, tokens)
        return _LINES % (scarcest.line, tokens, -((now - scarcest.after_ns) // _S))

    def is_short(self, limits: Sequence[Limit]) -> bool:
        """Whether `take` would find one of the limits short; nothing is taken."""
        self._settle()
        for limit in limits:
            limit.place = self._buckets.place_of(limit.mark)
        return bool(take(self._buckets.cells, limits, self._clock())[2])

    def _open_tab(self, limits: Sequence[Limit], now: int, scarcest: Limit, tokens: int) -> None:
        self._tab, self._tab_left, self._tab_began = limits, _ON_TAB, now
        self._tab_line, self._tab_step, self._tab_floor = scarcest.line, scarcest.step_ns, tokens - _ON_TAB
        self._tab_gap = now - scarcest.after_ns - _ON_TAB * scarcest.step_ns
        if not self._is_tab_due and self._at_end is not None:
            self._is_tab_due = True
            self._at_end(self._end_turn)

    def _end_turn(self) -> None:
        self._is_tab_due = False
        self._settle()

    def _settle(self) -> None:
        """Count what is on the tab, as of when it began, and close it."""
        limits, count = self._tab, _ON_TAB - self._tab_left
        self._tab = None
        if limits is None or not count:
            return
        cells, began = self._buckets.cells, self._tab_began
        for limit in limits:
            if cells[limit.place - 1] != limit.mark:
                limit.place = self._buckets.place_of(limit.mark)
            cells[limit.place] = max(cells[limit.place], began) + count * limit.step_ns
        if self._is_shared:
            self._note(limits, count)

    def _note(self, limits: Sequence[Limit], count: int) -> None:
        """Remember what was taken, for `taken`."""
        for limit in limits:
            if limit.mark in self._taken or len(self._taken) < _MOST_TOLD:
                self._taken[limit.mark] = (limit, self._taken.get(limit.mark, (limit, 0))[1] + count)


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
