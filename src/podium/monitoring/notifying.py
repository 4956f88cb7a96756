"""Telling: what is to be told waits in bounds, one thread for each channel, until it was taken or is given up.

Nothing that a receiver does reaches whoever decides what is told: a receiver that hangs holds up its own channel and no
other. Of one channel the order is kept, so that nobody hears that something ended before it began.
"""

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from podium.domain.monitoring.alerting.alerts import Alert, Notification
from podium.domain.monitoring.alerting.deliveries import Delivery, DeliveryResult
from podium.domain.monitoring.alerting.retries import Retries
from podium.errors import PodiumError
from podium.monitoring.channels.choice import OpenChannel
from podium.monitoring.channels.contract import AllFiring, Told, Undelivered

_MOST_UNKEPT = 5000


@dataclass(frozen=True, slots=True)
class TellingTerms:
    """Bounds of telling.

    Args:
        timeout_s: For one receiver to take one message.
        most_waiting: Of one channel; the oldest go when there are more.
        follow_s: How often channels that follow are told all that fires.
        follow_for_s: For how long they are told that something ended; and what is not said again ends there by then.
        retries: How patient it is.
    """

    timeout_s: float = 5.0
    most_waiting: int = 500
    follow_s: float = 60.0
    follow_for_s: float = 240.0
    retries: Retries = field(default_factory=Retries)


class Journal(Protocol):
    """Who keeps what became of deliveries."""

    def __call__(self, deliveries: Sequence[Delivery], /) -> None:
        """Keep it. Raises PodiumError where it cannot; it is told again later, with whatever is new."""


@dataclass(frozen=True, slots=True)
class About:
    """What each message says of podium.

    Args:
        address: Where people find it.
        runbooks: Address or folder of the pages that explain each rule.
    """

    address: str = ""
    runbooks: str = ""


class Notifier:
    """Owns the channels' threads. `begin` starts them, `close` ends them.

    Args:
        channels: Whom to tell.
        about: What each message says of podium.
        journal: Who keeps what became of it; called by any of the threads.
        log: For one line of text, without secrets.
        terms: Bounds.
        clock: Wall clock, the same as that of notifications.
    """

    def __init__(
        self,
        channels: Sequence[OpenChannel],
        about: About,
        journal: Journal,
        log: Callable[[str], None],
        terms: TellingTerms | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        terms = terms or TellingTerms()
        self._outcomes: Counter[tuple[str, DeliveryResult]] = Counter()
        self._unkept: dict[tuple[str, str], Delivery] = {}
        self._lock = threading.Lock()
        self._journal = journal
        self._lines = [_Line(each, about, self._settled, log, terms, clock) for each in channels]

    def begin(self) -> None:
        """Start telling."""
        for line in self._lines:
            line.thread.start()

    def planned(self, notifications: Iterable[Notification]) -> list[Delivery]:
        """Which channel is to be told of what. Whoever has kept that has it told by `resume`."""
        waiting = []
        for notification in notifications:
            for line in self._lines:
                items = tuple((news, alert) for news, alert in notification.items if line.channel.tells_of(alert))
                if items and not line.channel.kind.is_following:
                    own = Notification(notification.id, notification.group, notification.at, items)
                    waiting.append(Delivery(line.channel.name, own, at=notification.at))
        return waiting

    def resume(self, deliveries: Iterable[Delivery]) -> None:
        """Tell what waits; returns at once. What is for a channel that is no more is given up."""
        lines = {line.channel.name: line for line in self._lines}
        for delivery in deliveries:
            if delivery.channel in lines:
                lines[delivery.channel].add(delivery)
            else:
                gone = f"there is no channel {delivery.channel} any more."
                self._settled(delivery.after(DeliveryResult.FAILED, delivery.at, gone))

    def withdraw(self, *, is_following: bool) -> None:
        """Tell nothing of what waits: somebody else does, or may. What is being told just now is told.

        Args:
            is_following: Whether channels that are told all of it again and again are still told what they were.
        """
        for line in self._lines:
            line.withdraw(is_following=is_following)

    def follow(self, alerts: Sequence[Alert], ended: Sequence[Alert], now: float) -> None:
        """Say what fires and what ended, for channels that are told all of it again and again; returns at once."""
        for line in self._lines:
            if line.channel.kind.is_following:
                line.follow(
                    [each for each in alerts if line.channel.tells_of(each)],
                    [each for each in ended if line.channel.tells_of(each)],
                    now,
                )

    def outcomes(self) -> Mapping[tuple[str, DeliveryResult], int]:
        """How many deliveries of each channel came to what, since it began."""
        with self._lock:
            return dict(self._outcomes)

    def count_from(self, outcomes: Mapping[tuple[str, DeliveryResult], int]) -> None:
        """Go on counting where another one ended."""
        with self._lock:
            self._outcomes.update(outcomes)

    def keep(self) -> None:
        """Have the journal keep what it could not keep before.

        Raises:
            PodiumError: It still cannot.
        """
        with self._lock:
            unkept = dict(self._unkept)
        if not unkept:
            return
        self._journal(list(unkept.values()))
        with self._lock:
            for key, delivery in unkept.items():
                if self._unkept.get(key) is delivery:
                    del self._unkept[key]

    def close(self, timeout_s: float) -> None:
        """Let what is being told come to its end, at most so long; the rest waits in the journal."""
        ends = time.monotonic() + timeout_s
        for line in self._lines:
            line.close()
        for line in self._lines:
            if line.thread.is_alive():
                line.thread.join(max(0.0, ends - time.monotonic()))

    def _settled(self, delivery: Delivery) -> None:
        with self._lock:
            if delivery.result is not DeliveryResult.WAITING:
                self._outcomes[delivery.channel, delivery.result] += 1
            self._unkept[delivery.key] = delivery
            while len(self._unkept) > _MOST_UNKEPT:
                del self._unkept[next(iter(self._unkept))]
        with contextlib.suppress(PodiumError):
            self.keep()


class _Line:
    """What waits for one channel, and the thread that tells it."""

    def __init__(
        self,
        channel: OpenChannel,
        about: About,
        settled: Callable[[Delivery], None],
        log: Callable[[str], None],
        terms: TellingTerms,
        clock: Callable[[], float],
    ) -> None:
        self.channel = channel
        # A receiver may hold it for ever: nobody waits for it when podium ends.
        self.thread = threading.Thread(target=self._run, name=f"channel {channel.name}", daemon=True)
        self._about, self._settled, self._log, self._terms, self._clock = about, settled, log, terms, clock
        self._woken = threading.Condition()
        self._waiting: deque[Delivery] = deque()
        # Of the monotonic clock: one that is set back silences no channel.
        self._not_before = 0.0
        self._standing: tuple[Alert, ...] | None = None
        self._ended: dict[str, tuple[float, Alert]] = {}
        self._fault = ""
        self._is_telling = self._is_withdrawn = False
        self._is_over = False
        # What came to an end lately, so that whoever reads late that it waits does not have it told again.
        self._settled_keys: deque[tuple[str, str]] = deque(maxlen=_MOST_UNKEPT)

    def add(self, delivery: Delivery) -> None:
        dropped = []
        with self._woken:
            if self._is_telling and delivery.key == self._waiting[0].key:
                self._is_withdrawn = False  # it is to be told again after all, should it not be taken now
            if delivery.key in self._settled_keys or any(delivery.key == each.key for each in self._waiting):
                return
            self._waiting.append(delivery)
            while len(self._waiting) > self._terms.most_waiting:
                oldest = 1 if self._is_telling else 0
                dropped.append(self._waiting[oldest])
                del self._waiting[oldest]
            self._woken.notify()
        for each in dropped:
            self._settle(each.after(DeliveryResult.DROPPED, self._clock(), "too many others waited."))

    def withdraw(self, *, is_following: bool) -> None:
        with self._woken:
            self._is_withdrawn = self._is_telling
            while len(self._waiting) > int(self._is_telling):
                self._waiting.pop()
            if not is_following:
                self._standing, self._ended = None, {}

    def follow(self, alerts: Sequence[Alert], ended: Sequence[Alert], now: float) -> None:
        with self._woken:
            for alert in ended:
                self._ended[alert.fingerprint] = (now, alert)
            firing = {alert.fingerprint for alert in alerts}
            self._ended = {
                key: (at, alert)
                for key, (at, alert) in self._ended.items()
                if key not in firing and now - at <= self._terms.follow_for_s
            }
            standing = (*alerts, *(alert for _, alert in self._ended.values()))
            has_changed = _said(standing) != _said(self._standing or ())
            is_first = self._standing is None
            self._standing = standing
            if has_changed or is_first:
                self._not_before = 0.0
                self._woken.notify()

    def close(self) -> None:
        with self._woken:
            self._is_over = True
            self._woken.notify()

    def _run(self) -> None:
        tell = self._tell_standing if self.channel.kind.is_following else self._tell_first
        while self._wait():
            tell()

    def _wait(self) -> bool:
        """Until there is something to tell and its time has come; False: it is over."""
        with self._woken:
            while not self._is_over:
                has_any = self._standing is not None if self.channel.kind.is_following else bool(self._waiting)
                wait_s = self._not_before - time.monotonic()
                if has_any and wait_s <= 0:
                    return True
                self._woken.wait(wait_s if has_any else None)
            return False

    def _tell_first(self) -> None:
        with self._woken:
            if not self._waiting:
                return  # withdrawn since it was waited for
            first = self._waiting[0]
            self._is_telling = True
        told = Told(first.notification, self.channel.name, self._about.address, self._about.runbooks)
        if self._clock() - first.notification.at > self._terms.retries.give_up_s:
            wrong: Undelivered | None = Undelivered("it is too old to be told.", is_final=True)
        else:
            wrong = self._send(told)
        now = self._clock()
        again = None
        if wrong is not None and not wrong.is_final:
            decided = first.notification.at
            again = self._terms.retries.next_at("/".join(first.key), first.tries + 1, decided, now, wrong.retry_after_s)
        refused = DeliveryResult.FAILED if again is None else DeliveryResult.WAITING
        result = DeliveryResult.SENT if wrong is None else refused
        after = first.after(result, now, "" if wrong is None else wrong.message)
        with self._woken:
            self._not_before = 0.0 if again is None else time.monotonic() + again - now
            self._waiting.popleft()
            if result is not DeliveryResult.WAITING:
                self._settled_keys.append(after.key)
            elif not self._is_withdrawn:
                self._waiting.appendleft(after)
            self._is_telling = self._is_withdrawn = False
        if result is not DeliveryResult.WAITING:
            self._settle(after)
            return
        self._settled(after)
        if after.tries == 1:
            self._log(f"The channel {self.channel.name} did not take a notification and is told again: {after.error}")

    def _tell_standing(self) -> None:
        with self._woken:
            alerts, now = self._standing or (), self._clock()
            self._not_before = time.monotonic() + self._terms.follow_s
        until = now + self._terms.follow_for_s
        about = self._about
        wrong = self._send(AllFiring(alerts, until, self.channel.name, about.address, about.runbooks)) if alerts else None
        fault = "" if wrong is None else wrong.message
        if fault not in {"", self._fault}:
            self._log(f"The channel {self.channel.name} was not told what fires: {fault}")
        self._fault = fault

    def _send(self, message: Told | AllFiring) -> Undelivered | None:
        """What went wrong; None where nothing did."""
        try:
            self.channel.kind.send(message, self.channel.options(), self._terms.timeout_s)
        except Undelivered as error:
            return error
        except PodiumError as error:
            # A secret that is being replaced may be there the next time.
            return Undelivered(error.message)
        except Exception as error:  # noqa: BLE001 - a plugin's fault, whose words may hold what it was given
            return Undelivered(f"it raised {type(error).__name__}.")
        return None

    def _settle(self, delivery: Delivery) -> None:
        if delivery.result is not DeliveryResult.SENT:
            self._log(f"The channel {self.channel.name} was not told of {_named(delivery)}: {delivery.error}")
        self._settled(delivery)


def _said(alerts: Iterable[Alert]) -> set[tuple[str, str]]:
    return {(alert.fingerprint, alert.state) for alert in alerts}


def _named(delivery: Delivery) -> str:
    rules = sorted({alert.rule for _, alert in delivery.notification.items})
    return ", ".join(rules[:5]) + ("" if len(rules) <= 5 else " …")
