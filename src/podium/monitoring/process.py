"""The monitor: one blocking loop that looks, counts, writes, judges and tells. Nobody who is served waits for it.

Every ten seconds it asks the supervisor how things are and reads all counters; every thirty it writes what they grew by,
and judges what it knows. What cannot be written (a locked database, a full disk) is kept for later, or left in the
counters; stretches of time in which nobody read them stay gaps.
"""

import logging
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.profile import Profile
from podium.domain.monitoring.profile_reading import MOST_BYTES, read_profile
from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.errors import MonitorStoreError, PodiumError
from podium.monitoring.alerting import Alerting
from podium.monitoring.counters import Counters, Totals, totals_of
from podium.monitoring.drift_methods import DriftChoices
from podium.monitoring.gauges import Gauge, gauges_of, monitor_gauges, sorted_gauges
from podium.monitoring.intake import Intake
from podium.monitoring.quality.watching import QualityWatch
from podium.monitoring.store import reading, writing
from podium.monitoring.store.contract import MonitorHistory, StoreConnection
from podium.monitoring.store.writing import VersionKey
from podium.monitoring.watching import JudgedVersion, judge_version
from podium.telemetry.slots import Slots
from podium.transport.control import ControlSocket
from podium.transport.messages import BrokenMessage, Drain, Drained
from podium.transport.monitor_messages import Look, Sight
from podium.transport.slab import SlabReading, read_slab

TICK_S = 10.0
TICKS_OF_A_TURN = 3
_GATHER_S = 0.05

_log = logging.getLogger("podium.monitor")


@dataclass(slots=True)
class KnownSlab:
    """A slab that is read.

    Attributes:
        descriptor: Ours.
        key: Whose rows.
        profile: The path of the profile's file.
        is_over: Its worker has ended: the next reading is the last.
        is_read: That one was taken.
    """

    descriptor: int
    key: VersionKey
    profile: str
    is_over: bool = False
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class MonitorTerms:
    """How a monitor works.

    Args:
        store: Its history.
        window_s: How long a window is judged: a multiple of five minutes, up to a day.
        retention_s: How long everything is kept.
        tick_s: Seconds between two looks.
        alerting: Judges and tells; None does not.
        intake: What gateways hand on of answers and labels; None: nothing.
        quality: Writes that down, and says how good versions are by it.
    """

    store: MonitorHistory
    window_s: int = HOUR_S
    retention_s: int = 90 * DAY_S
    tick_s: float = TICK_S
    alerting: Alerting | None = None
    intake: Intake | None = None
    quality: QualityWatch | None = None


@dataclass(slots=True)
class Known:
    """What the supervisor said last."""

    sight: Sight = field(default_factory=lambda: Sight([], []))
    slabs: dict[int, KnownSlab] = field(default_factory=dict)
    settled: list[int] = field(default_factory=list)


def server_name(slots: Slots) -> str:
    """A server by its counters: the same for all monitors that it has one after another, and no other server's."""
    return f"{slots.cells[4]:016x}"


class Monitor:
    """Watches one server.

    Args:
        control: To the supervisor.
        slots: The gateways' counters.
        terms: How.
        clock: Seconds since 1970.
    """

    def __init__(
        self, control: ControlSocket, slots: Slots, terms: MonitorTerms, clock: Callable[[], float] = time.time
    ) -> None:
        self.known = Known()
        self.judged: dict[VersionKey, JudgedVersion] = {}
        self._control = control
        self._slots = slots
        self._server = server_name(slots)
        self._terms = terms
        self._clock = clock
        self._store = terms.store
        self._counters: Counters | None = None
        self._profiles: dict[str, tuple[Profile, Layout]] = {}
        self._choices = DriftChoices()
        self._totals: dict[VersionKey, Totals] = {}
        self._ended: dict[VersionKey, Totals] = {}
        self._waiting: dict[VersionKey, int] = {}
        self._sent_until: float | None = None
        self._gauges: list[Gauge] = []
        self._taken_at: float | None = None
        self._watched_since: float | None = None
        self._forgot_at = 0.0
        self._trouble: str | None = None
        self._written_at = clock()
        self._is_over = False

    # ── the loop

    def run(self) -> None:
        """Watch until the supervisor ends or says that all is over."""
        tick = 0
        while not self._is_over and self.look():
            self.take()
            is_pressing = self._terms.intake is not None and self._terms.intake.is_pressing
            before = self._trouble
            if tick % TICKS_OF_A_TURN == 0 or is_pressing or before is not None:
                self.turn()
            if (before is None) != (self._trouble is None):
                # A log may lie on the disk that is full: `/metrics` says it at once, too.
                self.look()
            tick += 1
            self._pause()
        if self._is_over:
            # Once more: whatever was heard before may be of a time in which workers still came and went.
            self.look()
        # What workers counted before they ended is there to be read, also where the supervisor is not.
        self.take()
        self.turn()
        with suppress(OSError):
            self._control.send(Drained())

    def turn(self) -> None:
        """Write what was counted, judge what is known, and make the gauges of it."""
        now = self._clock()
        try:
            is_written = self._write(now)
        except MonitorStoreError as error:
            self._is_in_trouble(error, "What was counted is kept and written later.")
        else:
            if is_written and self._trouble is not None:
                # Whoever reads this may not have been told before: the log may lie on the same disk.
                _log.warning("%s can be written again; before: %s", self._store.place, self._trouble)
            if is_written:
                self._trouble, self._written_at = None, now
        versions = {VersionKey(str(each["model"]), str(each["version"])) for each in self.known.sight.versions}
        self.judged = {key: each for key, each in self.judged.items() if key in versions}
        told = [gauge for each in self.judged.values() for gauge in gauges_of(each)]
        told += self._look_at_quality(now, versions)
        told += self._alert(now)
        unwritten_s = 0.0 if self._trouble is None else max(now - self._written_at, 0.001)
        self._gauges = sorted_gauges([*told, *monitor_gauges(self._totals, self._waiting, unwritten_s)])

    def _is_in_trouble(self, error: MonitorStoreError, then: str) -> None:
        """Say it once, until it is something else."""
        if self._trouble != error.message:
            _log.warning("%s %s", error.message, then)
        self._trouble = error.message

    def _look_at_quality(self, now: float, versions: set[VersionKey]) -> list[Gauge]:
        quality, intake = self._terms.quality, self._terms.intake
        if quality is None:
            return []
        quality.hear(self.known.sight.versions)
        if intake is not None:
            intake.write_down(self._store, quality.write_down, now)
        return quality.turn(now, versions)

    def _alert(self, now: float) -> list[Gauge]:
        if self._terms.alerting is None:
            return []
        quality = {} if self._terms.quality is None else self._terms.quality.judged
        try:
            return self._terms.alerting.turn(now, self.known.sight.versions, self.judged, quality)
        except (PodiumError, ValueError, KeyError, TypeError, ArithmeticError) as error:
            # Counting goes on, whatever is wrong with what is judged.
            _log.warning("alerts cannot be judged: %s: %s", type(error).__name__, error)
            return []

    def _pause(self) -> None:
        """Wait for the next tick, a whole one of the clock, or until the supervisor says that all is over, or is gone.

        Gateways' records are taken meanwhile, for the socket does not hold much; not each as it comes, but some at once.
        """
        if self._is_over:
            return
        tick_s, intake = self._terms.tick_s, self._terms.intake
        control, all_of_it = select.poll(), select.poll()
        for poll in (control, all_of_it):
            poll.register(self._control.fileno, select.POLLIN)
        if intake is not None:
            all_of_it.register(intake.fileno, select.POLLIN)
        ends = time.monotonic() + tick_s - self._clock() % tick_s
        is_gathering = False
        while (left := ends - time.monotonic()) > 0:
            is_gathering = intake is not None and (intake.is_full or not is_gathering)
            ready = control.poll(1000 * min(left, _GATHER_S)) if is_gathering else all_of_it.poll(1000 * left)
            if any(descriptor == self._control.fileno for descriptor, _ in ready):
                heard = self._control.receive()
                self._is_over = heard is None or any(isinstance(message, Drain) for message, _ in heard)
                return
            if intake is not None:
                intake.drain()

    # ── looking

    def look(self) -> bool:
        """Ask how things are; whether the supervisor is still there."""
        known = self.known
        try:
            self._control.send(Look(list(known.slabs), known.settled, self._gauges))
            while (heard := self._control.receive()) is not None:
                is_answered = False
                for message, descriptors in heard:
                    # In either order, and at once: the server may end while it is asked.
                    if isinstance(message, Drain):
                        self._is_over = True
                    if isinstance(message, Sight):
                        self._take_in(message, descriptors)
                        is_answered = True
                if is_answered:
                    return True
        except OSError:
            pass
        return False

    def _take_in(self, sight: Sight, descriptors: list[int]) -> None:
        known = self.known
        for number in known.settled:
            os.close(known.slabs.pop(number).descriptor)
        known.settled = []
        if len(descriptors) != len(sight.slabs):
            raise BrokenMessage("slabs came without their descriptors")
        for told, descriptor in zip(sight.slabs, descriptors, strict=True):
            key = VersionKey(str(told["model"]), str(told["version"]))
            known.slabs[int(told["number"])] = KnownSlab(descriptor, key, str(told["profile"]))
        for number in sight.over:
            if number in known.slabs:
                known.slabs[number].is_over = True
        known.sight = sight

    # ── counting

    def take(self) -> None:
        """Read all counters, unless there is no telling yet how far they were read before."""
        now = self._clock()
        counters = self._counters or self._begin()
        if counters is None or counters.is_full:
            self._watched_since = self._taken_at = None
            return
        since = self._taken_at if self._taken_at is not None else now
        # What was counted since the last reading belongs to the time before this one.
        at = (since + now) / 2 if now - since < 6 * self._terms.tick_s else now
        life = f"gateways-{self._server}"
        for index, labels in enumerate(self.known.sight.series):
            if labels:
                key = VersionKey(labels["model"], labels["version"])
                counters.take_traffic(life, key, self._slots.totals(index), at)
        self._totals, self._waiting = dict(self._ended), {}
        for slab in self.known.slabs.values():
            if not slab.is_read:
                self._take_slab(counters, slab, at)
        self._taken_at = now
        if self._watched_since is None:
            self._watched_since = now

    def _begin(self) -> Counters | None:
        try:
            with self._store.writing() as connection:
                self._counters = Counters(writing.readings(connection))
        except MonitorStoreError as error:
            self._is_in_trouble(error, "Nothing is counted until it can be read.")
        return self._counters

    def _take_slab(self, counters: Counters, slab: KnownSlab, at: float) -> None:
        found = read_slab(slab.descriptor)
        profile = None if found is None else self._profile(slab, found)
        if found is not None:
            totals = totals_of(found, is_over=slab.is_over)
            self._totals[slab.key] = self._totals.get(slab.key, Totals()) + totals
            waits = found.seen - totals.rows - totals.dropped
            self._waiting[slab.key] = self._waiting.get(slab.key, 0) + max(waits, 0)
            if slab.is_over:
                self._ended[slab.key] = self._ended.get(slab.key, Totals()) + totals
            if profile is not None:
                counters.take_rows(slab.key, found, profile[1], at, is_over=slab.is_over)
        slab.is_read = slab.is_over

    def _profile(self, slab: KnownSlab, found: SlabReading) -> tuple[Profile, Layout] | None:
        """The profile that a slab's rows are counted by: from its file, or as it was seen before."""
        known = self._profiles.get(found.profile_id)
        if known is None:
            profile = self._read_profile(slab, found.profile_id)
            if profile is None:
                return None
            known = self._profiles[found.profile_id] = (profile, Layout(profile))
        return known

    def _read_profile(self, slab: KnownSlab, profile_id: str) -> Profile | None:
        with suppress(OSError, PodiumError), open(slab.profile, "rb") as file:
            profile = read_profile(file.read(MOST_BYTES + 1))
            if profile.profile_id == profile_id:
                return profile
        with suppress(PodiumError), self._store.reading() as connection:
            return reading.profile_of(connection, slab.key, profile_id)
        return None

    # ── writing

    def _write(self, now: float) -> bool:
        """Whether anything could be: before it is known how far counters were read, nothing can."""
        counters = self._counters
        if counters is None:
            return False
        profiles = self._profiles_in_use()
        self._choices.hear(self.known.sight.versions)
        with self._store.writing() as connection:
            if counters.settle(connection, self._server) and self._watched_since is not None:
                self._watched_since = max(self._watched_since, self._sent_until or 0.0)
            self._sent_until = self._taken_at
            for each in self.known.sight.versions:
                key = VersionKey(str(each["model"]), str(each["version"]))
                writing.see_version(connection, key, str(each.get("stage") or ""), profiles.get(key), int(now))
            if self._watched_since is not None and self._taken_at is not None:
                writing.watch(connection, int(self._watched_since), int(self._taken_at), self._server)
            counters.write(connection, int(now), self._server)
            judged = [self._judge(connection, key, profile, now) for key, profile in profiles.items()]
            if now - self._forgot_at > HOUR_S:
                counters.keep(connection, int(now))
                writing.forget(connection, int(now), self._terms.retention_s)
        if now - self._forgot_at > HOUR_S:
            self._forgot_at = now
        counters.written()
        self._watched_since = self._taken_at
        self.judged |= {each.key: each for each in judged if each is not None}
        self.known.settled = [number for number, slab in self.known.slabs.items() if slab.is_read]
        return True

    def _judge(self, connection: StoreConnection, key: VersionKey, profile: Profile, now: float) -> JudgedVersion | None:
        try:
            return judge_version(connection, key, profile, now, self._terms.window_s, self._choices.of(key, profile))
        except MonitorStoreError:
            raise
        except Exception as error:  # noqa: BLE001 - other packages' drift methods are asked
            # What one version's counts say must not keep others' from being written.
            _log.warning("version %s of %s cannot be judged: %s: %s", key.version, key.model, type(error).__name__, error)
            return None

    def _profiles_in_use(self) -> dict[VersionKey, Profile]:
        """By version: what its workers count by."""
        found = {}
        for slab in self.known.slabs.values():
            seen = read_slab(slab.descriptor)
            if seen is not None and seen.profile_id in self._profiles:
                found[slab.key] = self._profiles[seen.profile_id][0]
        return found
