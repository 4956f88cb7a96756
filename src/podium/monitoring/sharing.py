"""Of the servers that share a history one judges and tells, for all of them: so people hear of each thing once.

Who that is stands in the history, as a lease without a clock: its holder counts on with each turn, and whoever has seen it
stand still for long enough, by its own watch, takes it. Every transaction of the holder's that decides whom to tell looks
whether it still holds it: one that was stopped, and goes on later, decides nothing. While a database is away nobody
decides; what was decided before goes on being told for as long as nobody else can hold the lease. A file that cannot be
written cannot be by the others of its machine either: whoever told people goes on, by what it knows.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import msgspec

from podium.domain.monitoring.staleness import Times
from podium.domain.monitoring.windows import DAY_S
from podium.errors import PodiumError
from podium.monitoring.judged_values import VersionValues
from podium.monitoring.store import reading
from podium.monitoring.store import sharing as kept
from podium.monitoring.store.contract import MonitorHistory, StoreConnection
from podium.monitoring.store.sharing import TellerLease
from podium.monitoring.store.writing import VersionKey

LEASE_S = 75.0
GONE_S = 300.0
_OLDEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class SharingPatience:
    """How patient it is.

    Args:
        lease_s: A holder that was not there for so long loses the lease.
        gone_s: What a server said counts for so long after it was there last: a monitor may be begun again meanwhile.
    """

    lease_s: float = LEASE_S
    gone_s: float = GONE_S


@dataclass(frozen=True, slots=True)
class Shared:
    """After a turn.

    Args:
        leads: Whether this server is to judge and tell.
        values: What is known of the versions of all servers, one entry for each version.
    """

    leads: bool
    values: list[VersionValues]


@dataclass(slots=True)
class _Seen:
    """What another server left, and since when by our clock it stands still."""

    what: object
    since: float


@dataclass(slots=True)
class HistorySharing:
    """One server's part in it.

    Args:
        store: The history.
        server: Which; the same for all its monitors, one after another.
        has_channels: Whether it has anybody to tell.
        terms: How patient it is.
        clock: Seconds that only grow.
    """

    store: MonitorHistory
    server: str
    has_channels: bool
    terms: SharingPatience = field(default_factory=SharingPatience)
    clock: Callable[[], float] = time.monotonic
    _lease: _Seen | None = None
    _others: dict[str, _Seen] = field(default_factory=dict)
    _heard_at: float | None = None
    _begun_at: float | None = None
    _leads: bool | None = None
    _heard_values: list[VersionValues] = field(default_factory=list)

    @property
    def goes_on_without(self) -> bool:
        """Whether its holder decides while the history cannot be written."""
        return not self.store.is_shared

    def turn(self, now: float, own: Sequence[VersionValues]) -> Shared:
        """Say that we are there, and hear what others know.

        Args:
            now: Wall clock.
            own: What is known of the versions that this server serves.

        Raises:
            MonitorStoreError: The history cannot be written.
        """
        if self._begun_at is None:
            self._begun_at = self.clock()
        text = msgspec.json.encode([_told(each) for each in own]).decode()
        with self.store.writing() as connection:
            kept.put_values(connection, self.server, now, text)
            leads = self._takes(connection)
            heard = self._heard(connection, now, may_forget=leads)
            values = merged([*own, *heard])
            if leads:
                # A file's monitors count into the same windows: what is not found of an own version is not there.
                judged = {each.key for each in own} if self.goes_on_without else set()
                values = [each if each.key in judged else _with_findings(connection, each, now) for each in values]
        self._heard_at, self._leads, self._heard_values = self.clock(), leads, heard
        return Shared(leads, values)

    def without(self, own: Sequence[VersionValues]) -> Shared | None:
        """Where a turn failed: what goes on by what was heard before; None where nobody may decide.

        Args:
            own: As for `turn`.
        """
        if not self.goes_on_without:
            return None
        # Its holder could not say that it is there.
        self._lease = None
        if self._leads is None and (self._begun_at is None or self.clock() - self._begun_at < self.terms.lease_s):
            return None
        return Shared(self._leads is not False, merged([*own, *self._heard_values]))

    @property
    def is_cut_off(self) -> bool:
        """Whether the history is away for so long that somebody else may hold the lease."""
        return self._heard_at is None or self.clock() - self._heard_at > self.terms.lease_s / 2

    def holds(self, connection: StoreConnection) -> bool:
        """Whether the lease is still ours, within a transaction that decides."""
        lease = kept.lease_of(connection)
        return lease is not None and lease.holder == self.server

    def end(self) -> None:
        """Nobody needs to wait for us any more."""
        with contextlib.suppress(PodiumError), self.store.writing() as connection:
            kept.end_lease(connection, self.server)
            kept.forget_values(connection, self.server)

    def _takes(self, connection: StoreConnection) -> bool:
        lease, now, rank = kept.lease_of(connection), self.clock(), int(self.has_channels)
        if lease is not None and lease.holder != self.server and lease.rank >= rank:
            if self._lease is None or self._lease.what != lease:
                self._lease = _Seen(lease, now)
            if now - self._lease.since < self.terms.lease_s:
                return False
        kept.put_lease(connection, TellerLease(self.server, 1 if lease is None else lease.beat + 1, rank))
        self._lease = None
        return True

    def _heard(self, connection: StoreConnection, now: float, *, may_forget: bool) -> list[VersionValues]:
        watch, values = self.clock(), []
        told = kept.values_of(connection)
        self._others = {server: seen for server, seen in self._others.items() if server in told}
        for server, (at, text) in told.items():
            if server == self.server:
                continue
            seen = self._others.get(server)
            if seen is None or seen.what != at:
                seen = self._others[server] = _Seen(at, watch)
            if watch - seen.since >= self.terms.gone_s or now - at >= _OLDEST_S:
                if may_forget:
                    kept.forget_values(connection, server)
                continue
            # One that is of another release may know what we do not: what cannot be read is not there.
            with contextlib.suppress(msgspec.DecodeError):
                values += msgspec.json.decode(text, type=list[VersionValues])
        return values


def _told(value: VersionValues) -> VersionValues:
    """What others are told of a version: what they can read. Its findings are in the history anyway."""
    told = replace(value, findings=())
    try:
        # JSON has no word for infinity.
        msgspec.json.decode(msgspec.json.encode(told), type=VersionValues)
    except msgspec.ValidationError:
        return replace(told, shortfalls=())
    return told


def _with_findings(connection: StoreConnection, value: VersionValues, now: float) -> VersionValues:
    """Those that another server's monitor has written; none that are too old to be what its data are like now."""
    if value.findings:
        return value
    found = [each for each in reading.latest_findings(connection, value.key) if each.finding.span.end > now - DAY_S]
    return replace(value, findings=found)


def merged(values: Iterable[VersionValues]) -> list[VersionValues]:
    """One entry for each version: what several servers say of the same, put together. Who comes first counts first."""
    found: dict[VersionKey, VersionValues] = {}
    for each in values:
        known = found.get(each.key)
        found[each.key] = each if known is None else _both(known, each)
    return list(found.values())


def _both(one: VersionValues, other: VersionValues) -> VersionValues:
    severities = {*one.environment, *other.environment}
    worst: Mapping[str, int] = {
        each: max(one.environment.get(each, 0), other.environment.get(each, 0)) for each in severities
    }
    times = {each.name: getattr(other.times, each.name) for each in fields(Times)}
    times |= {name: own for name in times if (own := getattr(one.times, name)) is not None}
    return replace(
        one,
        times=Times(**times),
        profile_id=one.profile_id or other.profile_id,
        findings=one.findings or other.findings,
        environment=worst,
        shortfalls=one.shortfalls or other.shortfalls,
        is_asked=one.is_asked or other.is_asked,
    )
