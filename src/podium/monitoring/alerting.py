"""The loop of alerts: what is known of models → facts → alerts → what is kept and who is told, one step every half minute.

Memory decides and the database keeps: where it cannot be written people are told all the same, and what was not kept is
kept with the next step that can. What is to be told is kept before it is told, so that a monitor which dies in between
tells it when it is back; what it had told and not yet noted is told again with the same id.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.domain.monitoring.alerting.alerts import Alert, AlertBook, AlertState, Notification, step
from podium.domain.monitoring.alerting.deliveries import Delivery, DeliveryResult
from podium.domain.monitoring.alerting.history import Turn, turns
from podium.domain.monitoring.alerting.silences import Silence
from podium.errors import MonitorStoreBusy, NotFound, PodiumError
from podium.monitoring.alert_file import AlertFile
from podium.monitoring.alert_gauges import gauges_of
from podium.monitoring.channels.choice import OpenChannel, open_channels
from podium.monitoring.judged_values import DROPPED_S, VersionValues, judged
from podium.monitoring.notifying import About, Notifier, TellingTerms
from podium.monitoring.quality.judging import JudgedQuality
from podium.monitoring.sharing import HistorySharing, Shared
from podium.monitoring.store import alerts as kept
from podium.monitoring.store.contract import MonitorHistory
from podium.monitoring.store.writing import VersionKey
from podium.monitoring.traffic_lines import TrafficLines
from podium.monitoring.version_values import Facts, VersionBook
from podium.monitoring.watching import JudgedVersion
from podium.settings.alerts import AlertSettings

_DAY_S = 86_400.0
_MOST_UNKEPT = 10_000
_MOST_LOOKS = 10
_NOT_READ = "Alerts are judged by what was read before:"
_NOT_SHARED = "It is not known which server tells people of alerts, and this one does not:"
_FOLLOWS = "Another server of this history tells people of alerts, or did until it was killed a moment ago:"
_BY_ITS_OWN = "of the models of both, by its own [alerts]. Give both the same."
_NOT_KEPT = "Alerts are not kept for now:"
_NOT_RENEWED = "[alerts] has changed and is taken later:"
# Longer than a receiver may take for what it is being told.
_TOLD_S = 8.0


class Alerting:
    """Owned by the monitor's process, which calls `begin`, then `step` every half minute, and `close`.

    Args:
        store: Where it is kept.
        settings: Which rules models have, and how often people hear of the same.
        notifier: Tells people; its journal is `journal`.
        log: For one line of text.
        retention_s: For how long the history is kept.
        file: Where other settings may be found later; None: nowhere.
        notifier_by: Makes a notifier for these.
        sharing: Which of the servers that write to the store tells. What is not kept is not told where another may be able
            to keep it.
    """

    def __init__(
        self,
        store: MonitorHistory,
        settings: AlertSettings,
        notifier: Notifier,
        log: Callable[[str], None],
        retention_s: float = 90 * _DAY_S,
        file: AlertFile | None = None,
        notifier_by: Callable[[AlertSettings], Notifier] | None = None,
        sharing: HistorySharing | None = None,
    ) -> None:
        self._file, self._notifier_by = file, notifier_by
        self._store, self._settings, self._notifier, self._log = store, settings, notifier, log
        self._retention_s = retention_s
        self._sharing = sharing
        self._leads = sharing is None
        self._lines = TrafficLines()
        self._versions = VersionBook()
        self._dropped: dict[str, tuple[int, int]] = {}
        self._silences: list[Silence] = []
        self._book = AlertBook()
        self._kept_book: AlertBook | None = None
        self._unkept_turns: list[Turn] = []
        self._unkept_deliveries: list[Delivery] = []
        self._looks_left = _MOST_LOOKS
        self._is_loaded = False
        self._forgot_at = 0.0
        self._faults: dict[str, str] = {}

    def begin(self) -> None:
        """Go on where it ended: the alerts as they were, and what was still to be told."""
        self._notifier.begin()
        if self._leads:
            self._load()

    def turn(
        self,
        now: float,
        facts: Sequence[Facts],
        judged: Mapping[VersionKey, JudgedVersion],
        quality: Mapping[VersionKey, JudgedQuality] | None = None,
    ) -> list[dict[str, Any]]:
        """A step by what the supervisor says.

        Args:
            now: Wall clock.
            facts: Of each version that is served.
            judged: What is held of those whose data are watched.
            quality: And of those that labels came for.

        Returns: What `/metrics` is to show.
        """
        self._renew()
        self._look(now)
        self._versions.note_waits(facts, now)
        return self._step(now, self._versions.values(facts, judged, quality or {}))

    def step(self, now: float, values: Sequence[VersionValues]) -> list[dict[str, Any]]:
        """Judge, note and tell.

        Args:
            now: Wall clock.
            values: What is known of each version that is served.

        Returns: What `/metrics` is to show.
        """
        self._look(now)
        return self._step(now, values)

    def _step(self, now: float, values: Sequence[VersionValues]) -> list[dict[str, Any]]:
        if self._sharing is not None:
            shared = self._share(self._sharing, now, values)
            if shared is None:
                if self._sharing.is_cut_off:
                    self._stand_back(is_following=True)
                return self._shown(values, now)
            self._say(_FOLLOWS, None if shared.leads else _BY_ITS_OWN)
            if not shared.leads:
                self._stand_back(is_following=False)
                return self._shown(values, now)
            self._leads, values = True, shared.values
        if not self._is_loaded and not self._load():
            return []
        return self._judge(now, values)

    def _share(self, sharing: HistorySharing, now: float, values: Sequence[VersionValues]) -> Shared | None:
        """Whether this server decides, and by what; None while nobody may."""
        try:
            shared: Shared | None = sharing.turn(now, values)
        except PodiumError as error:
            shared = sharing.without(values)
            self._say(_NOT_SHARED, error.message if shared is None else None)
            return shared
        self._say(_NOT_SHARED, None)
        return shared

    def _stand_back(self, *, is_following: bool) -> None:
        """Somebody else tells people, or may by now."""
        if self._leads:
            self._notifier.withdraw(is_following=is_following)
        self._leads = self._is_loaded = False

    def _shown(self, values: Sequence[VersionValues], now: float) -> list[dict[str, Any]]:
        """What whoever does not lead has to show: the alerts as they were read, and its own versions' clocks."""
        found = judged(values, self._settings, self._lines, self._dropped, self._book.at, now)
        return gauges_of(self._book, found.ages, self._notifier.outcomes())

    def _judge(self, now: float, values: Sequence[VersionValues]) -> list[dict[str, Any]]:
        found = judged(values, self._settings, self._lines, self._dropped, self._book.at, now)
        before = self._book
        self._book, notifications = step(before, found.facts, now, self._silences, self._settings.policy)
        planned = self._notifier.planned(notifications)
        if not self._keep([*turns(before, self._book)], planned, now):
            # What the history has is what counts; perhaps it has this step.
            self._book, self._is_loaded, self._unkept_turns, self._unkept_deliveries = before, False, [], []
            return gauges_of(self._book, found.ages, self._notifier.outcomes())
        self._notifier.resume(planned)
        self._notifier.follow(*_followed(self._book, notifications), now)
        return gauges_of(self._book, found.ages, self._notifier.outcomes())

    def _renew(self) -> None:
        """Go on by other settings where the file says so, and once all is kept that was decided by those of before.

        What waits is told by the new channels, as after a restart.
        """
        settings = None if self._file is None else self._file.changed()
        if settings is None or self._file is None or self._notifier_by is None or self._kept_book is None:
            return
        before = self._notifier
        before.close(_TOLD_S)
        try:
            before.keep()
            with self._store.reading() as connection:
                waiting = kept.deliveries_of(connection, DeliveryResult.WAITING, kept.MOST_DELIVERIES)
        except PodiumError as error:
            self._say(_NOT_RENEWED, error.message)
            return
        self._say(_NOT_RENEWED, None)
        self._settings, self._notifier = settings, self._notifier_by(settings)
        self._notifier.count_from(before.outcomes())
        self._notifier.begin()
        if self._sharing is not None:
            self._sharing.has_channels = bool(settings.channels)
        if self._leads:
            self._notifier.resume(reversed(waiting))
        self._file.taken()

    def close(self, timeout_s: float) -> None:
        """End; what was not told waits in the database."""
        self._notifier.close(timeout_s)
        with contextlib.suppress(PodiumError):
            self._notifier.keep()
        if self._sharing is not None:
            self._sharing.end()

    @property
    def book(self) -> AlertBook:
        """The alerts as they are."""
        return self._book

    def _load(self) -> bool:
        """Whether it is known how the alerts were; after some minutes it is begun anew, rather than never."""
        try:
            if self._sharing is not None:
                # What was told and not noted yet would be taken for what waits.
                self._notifier.keep()
            with self._store.reading() as connection:
                self._book = kept.book_of(connection)
                waiting = kept.deliveries_of(connection, DeliveryResult.WAITING, kept.MOST_DELIVERIES)
        except NotFound:
            waiting = []
        except (PodiumError, ValueError, TypeError) as error:
            self._looks_left -= 1
            if isinstance(error, MonitorStoreBusy) and self._looks_left > 0:
                return False
            if not self._goes_on_without and isinstance(error, PodiumError):
                return False
            said = error.message if isinstance(error, PodiumError) else type(error).__name__
            self._log(f"It is not known which alerts fired, and it is begun anew: {said}")
            self._is_loaded = True
            return True
        self._kept_book = self._book
        self._notifier.resume(reversed(waiting))
        self._is_loaded = True
        return True

    def _look(self, now: float) -> None:
        """Read what is new; where that cannot be read, what was read last counts."""
        try:
            with self._store.reading() as connection:
                self._lines.read(connection, now)
                self._versions.read(connection)
                self._dropped = kept.dropped_rows(connection, int(now - DROPPED_S))
                self._silences = kept.silences_of(connection, now)
                if not self._leads:
                    self._book = kept.book_of(connection)
            self._say(_NOT_READ, None)
        except NotFound:
            return
        except PodiumError as error:
            self._say(_NOT_READ, error.message)

    def _keep(self, changed: list[Turn], planned: list[Delivery], now: float) -> bool:
        """Keep all that is not kept yet; whether it counts: it is kept, or nobody else can keep anything either."""
        self._unkept_turns = [*self._unkept_turns, *changed][-_MOST_UNKEPT:]
        self._unkept_deliveries = [*self._unkept_deliveries, *planned][-_MOST_UNKEPT:]
        try:
            with self._store.writing() as connection:
                if self._sharing is not None and not self._sharing.holds(connection):
                    return False
                kept.put_book(connection, self._kept_book, self._book)
                kept.put_turns(connection, self._unkept_turns)
                kept.put_waits(connection, self._versions.waits)
                kept.put_deliveries(connection, self._unkept_deliveries)
                if now - self._forgot_at > _DAY_S:
                    kept.forget_alerts(connection, now, self._retention_s)
            self._notifier.keep()
        except PodiumError as error:
            # Perhaps some of it was kept: all of it is written again.
            self._kept_book = None
            self._say(_NOT_KEPT, error.message)
            return self._goes_on_without
        self._say(_NOT_KEPT, None)
        if now - self._forgot_at > _DAY_S:
            self._forgot_at = now
        self._kept_book, self._unkept_turns, self._unkept_deliveries = self._book, [], []
        return True

    @property
    def _goes_on_without(self) -> bool:
        return self._sharing is None or self._sharing.goes_on_without

    def _say(self, about: str, fault: str | None) -> None:
        """Once for each fault until it is over, not at every step."""
        if fault is None:
            self._faults.pop(about, None)
        elif self._faults.get(about) != fault:
            self._faults[about] = fault
            self._log(f"{about} {fault}")


def alerting_of(
    store: MonitorHistory,
    settings: AlertSettings,
    log: Callable[[str], None],
    retention_s: float,
    clock: Callable[[], float] = time.time,
    path: Path | None = None,
    server: str = "",
    terms: TellingTerms | None = None,
) -> Alerting:
    """The loop with its channels; one whose secret is gone meanwhile keeps nobody else from being told.

    Args:
        store: Where it is kept.
        settings: What podium.toml says.
        log: For one line of text.
        retention_s: For how long the history is kept.
        clock: Wall clock, the same as that of steps.
        path: Of podium.toml, which is read again when it changes; None: it is not.
        server: Which of those that write to the store.
        terms: Bounds of telling.
    """

    def notifier_by(its: AlertSettings) -> Notifier:
        channels: list[OpenChannel] = []
        for each in its.channels:
            try:
                channels += open_channels([each])
            except PodiumError as error:
                log(f"The channel {each.name} is not told of alerts: {error.message}")
        return Notifier(channels, About(its.address, its.runbooks), journal(store), log, terms, clock)

    file = None if path is None else AlertFile(path, settings, log)
    sharing = HistorySharing(store, server, bool(settings.channels))
    return Alerting(store, settings, notifier_by(settings), log, retention_s, file, notifier_by, sharing)


def journal(store: MonitorHistory) -> Callable[[Sequence[Delivery]], None]:
    """Notes in the database what became of deliveries."""

    def note(deliveries: Sequence[Delivery]) -> None:
        with store.writing() as connection:
            kept.put_deliveries(connection, deliveries)

    return note


def _followed(book: AlertBook, notifications: Sequence[Notification]) -> tuple[list[Alert], list[Alert]]:
    """What people know to fire, and what they were just told to be over."""
    firing = [alert for alert in book.firing() if alert.is_open]
    over = [
        book.alerts.get(alert.fingerprint, alert)
        for told in notifications
        for _, alert in told.items
        if alert.state is AlertState.RESOLVED
    ]
    return firing, over
