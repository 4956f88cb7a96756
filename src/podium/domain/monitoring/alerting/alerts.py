"""Alerts: what became of what rules found, and whom to tell of it. One step is a function of state, facts and a clock.

    ok ──bad──► pending ──bad for `for_s`──► firing ──good for `keep_s`──► resolved ──forgotten──► ok
     ▲             │ not bad any more            ▲                            │ bad again
     └─────────────┘                             └────────── pending ◄────────┘

Laws, whatever is found and whenever: of one alert the notifications go firing, any repeats, resolved, firing …; a step from
the same state with the same facts and time gives the same, and a second one from its result at that time tells nothing. So
whoever keeps the new state and the notifications in one transaction may die at any time and repeats nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from podium.domain.monitoring.alerting.judging import Condition, Fact
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.alerting.silences import Silence, silenced_by

Labels = tuple[tuple[str, str], ...]


class AlertState(StrEnum):
    """Where an alert is."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class News(StrEnum):
    """What is told of an alert."""

    FIRING = "firing"
    REPEAT = "repeat"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How often people hear of the same.

    Args:
        group_wait_s: News of one model wait so long for others of it.
        repeat_s: What still fires is told again after this.
        flapping: What began to fire so many times within `flapping_window_s` flaps: it fires until it was good for
            `flapping_keep_s`.
        flapping_window_s: See `flapping`.
        flapping_keep_s: See `flapping`.
        longest_step_s: Where two steps are further apart nobody looked, and nothing counts as having lasted for longer. A
            clock that goes back by more was set: all times are moved with it.
        most_alerts: Further ones are not begun.
    """

    group_wait_s: float = 30.0
    repeat_s: float = 4 * 3600.0
    flapping: int = 3
    flapping_window_s: float = 3600.0
    flapping_keep_s: float = 1800.0
    longest_step_s: float = 300.0
    most_alerts: int = 10_000


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong in one place, or was lately.

    Args:
        fingerprint: Of its rule and labels, the same for ever.
        rule: Name of its rule.
        labels: Where; sorted.
        severity: Who hears of it.
        state: Where it is.
        since: Since when it is bad; later where nobody could look for some time.
        fired_at: When it began to fire; None before. It began once, as long as nobody was told that it ended.
        good_since: Since when it is good while it fires.
        resolved_at: When it was resolved last.
        told: What was told last; None: nothing.
        told_at: When.
        firings: When it began to fire lately.
        inhibited_by: Rules while one of which fires nobody is told of it.
        linger_s: For how long after that nobody is told of it.
        inhibited_at: When one of them fired last, since this one fires.
        keep_s: How long it must be good before it is resolved.
        value: Of the last fact that had one, as are the others.
        threshold: See `value`.
        sentence: See `value`.
        meaning: Of its rule.
    """

    fingerprint: str
    rule: str
    labels: Labels
    severity: AlertSeverity
    state: AlertState
    since: float
    fired_at: float | None = None
    good_since: float | None = None
    resolved_at: float | None = None
    told: News | None = None
    told_at: float | None = None
    firings: tuple[float, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    linger_s: float = 0.0
    inhibited_at: float | None = None
    keep_s: float = 0.0
    value: float | None = None
    threshold: float | None = None
    sentence: str = ""
    meaning: str = ""

    @property
    def group(self) -> str:
        """Whose news are told together: the model's, or, of none, the server's."""
        return dict(self.labels).get("model", "")

    @property
    def is_open(self) -> bool:
        """Whether people think that it fires."""
        return self.told in {News.FIRING, News.REPEAT}

    def is_flapping(self, now: float, policy: AlertPolicy) -> bool:
        """Whether it came and went too often lately."""
        return len(_lately(self.firings, now, policy)) >= policy.flapping

    def all_labels(self) -> dict[str, str]:
        """What silences are held against."""
        return {**dict(self.labels), "rule": self.rule, "severity": self.severity.value}


@dataclass(frozen=True, slots=True)
class AlertBook:
    """All that the next step needs to know.

    Args:
        at: Of the last step.
        alerts: By fingerprint.
        due: When the news of a group are told.
        left_out: How many alerts were not begun in the last step as there were too many.
    """

    at: float | None = None
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    due: Mapping[str, float] = field(default_factory=dict)
    left_out: int = 0

    def firing(self) -> list[Alert]:
        """Those that fire, pages first, then oldest first."""
        firing = [alert for alert in self.alerts.values() if alert.state is AlertState.FIRING]
        return sorted(firing, key=lambda alert: (alert.severity is not AlertSeverity.PAGE, alert.since, alert.fingerprint))


@dataclass(frozen=True, slots=True)
class Notification:
    """News of one group, told together.

    Args:
        id: The same when the same is told again, so that receivers can drop it.
        group: The model; empty: the server.
        at: When it was decided.
        items: What is told of which alert; pages first.
    """

    id: str
    group: str
    at: float
    items: tuple[tuple[News, Alert], ...]


def fingerprint_of(rule: str, labels: Labels) -> str:
    """SHA-256 of the rule's name and the labels, in whichever order they come."""
    return sha256(json.dumps([rule, sorted(labels)], separators=(",", ":")).encode()).hexdigest()


def step(
    before: AlertBook,
    facts: Iterable[Fact],
    now: float,
    silences: Sequence[Silence] = (),
    policy: AlertPolicy | None = None,
) -> tuple[AlertBook, tuple[Notification, ...]]:
    """Go on to `now`.

    Args:
        before: What the step before gave; `AlertBook()` at first.
        facts: What all rules found now; of several in one place the worst counts. A rule that says nothing of a place where
            it fired counts as good: its model or column is gone, or it was switched off.
        now: Seconds, wall clock. One that went back a little counts as having stood still.
        silences: Those that are known.
        policy: `AlertPolicy()` where None.

    Returns: What the next step begins with, and what is to be sent.
    """
    policy = policy or AlertPolicy()
    if before.at is not None and now < before.at - policy.longest_step_s:
        before = _moved_by(before, now - before.at)
    now = now if before.at is None else max(now, before.at)
    worst: dict[str, Fact] = {}
    for fact in facts:
        print_ = fingerprint_of(fact.rule.name, fact.labels)
        if print_ not in worst or _rank(fact) > _rank(worst[print_]):
            worst[print_] = fact
    # What was so and may be over is no news, neither for the first time nor again.
    between = {print_ for print_, fact in worst.items() if fact.condition is Condition.BETWEEN}
    step_s = 0.0 if before.at is None else now - before.at
    unseen_s = max(0.0, step_s - policy.longest_step_s)
    alerts: dict[str, Alert] = {}
    for print_, alert in before.alerts.items():
        moved = _moved(alert, worst.pop(print_, None), now, step_s, unseen_s, policy)
        if moved is not None:
            alerts[print_] = moved
    left_out = 0
    for print_, fact in worst.items():
        if fact.condition is not Condition.BAD:
            continue
        if len(alerts) >= policy.most_alerts:
            left_out += 1
            continue
        alerts[print_] = _fired(_begun(print_, fact, now), fact, now, policy)
    alerts = _inhibited(alerts, now)
    heard_of = [each for print_, each in alerts.items() if print_ not in between or each.state is AlertState.RESOLVED]
    due, notifications = _news(heard_of, before.due, silences, now, policy)
    for notification in notifications:
        for news, alert in notification.items:
            alerts[alert.fingerprint] = _heard(alert, news, now)
    return AlertBook(now, alerts, due, left_out), notifications


def _moved(
    alert: Alert, fact: Fact | None, now: float, step_s: float, unseen_s: float, policy: AlertPolicy
) -> Alert | None:
    """An alert after one step; None: it is forgotten."""
    condition = Condition.GOOD if fact is None else fact.condition
    if fact is not None and condition is not Condition.UNKNOWN:
        alert = _described(alert, fact)
    unknown_s = step_s if condition is Condition.UNKNOWN else unseen_s
    match alert.state:
        case AlertState.PENDING:
            alert = replace(alert, since=min(now, alert.since + unknown_s))
            if condition is Condition.UNKNOWN:
                return alert
            if condition is Condition.BAD and fact is not None:
                return _fired(alert, fact, now, policy)
            return _gone(replace(alert, state=AlertState.RESOLVED), now, policy)
        case AlertState.FIRING:
            if condition in {Condition.BAD, Condition.BETWEEN}:
                return replace(alert, good_since=None)
            if alert.good_since is not None:
                alert = replace(alert, good_since=min(now, alert.good_since + unknown_s))
            return alert if condition is Condition.UNKNOWN else _ended(alert, now, policy)
        case AlertState.RESOLVED:
            if condition is Condition.BAD and fact is not None:
                return _fired(replace(alert, state=AlertState.PENDING, since=now), fact, now, policy)
            return _gone(alert, now, policy)


def _moved_by(book: AlertBook, seconds: float) -> AlertBook:
    """With all times so much later, after the clock was set: what lasted goes on lasting."""

    def moved(at: float | None) -> float | None:
        return None if at is None else at + seconds

    alerts = {
        print_: replace(
            alert,
            since=alert.since + seconds,
            fired_at=moved(alert.fired_at),
            good_since=moved(alert.good_since),
            resolved_at=moved(alert.resolved_at),
            told_at=moved(alert.told_at),
            inhibited_at=moved(alert.inhibited_at),
            firings=tuple(at + seconds for at in alert.firings),
        )
        for print_, alert in book.alerts.items()
    }
    return replace(book, at=moved(book.at), alerts=alerts, due={group: at + seconds for group, at in book.due.items()})


def _begun(fingerprint: str, fact: Fact, now: float) -> Alert:
    alert = Alert(fingerprint, fact.rule.name, fact.labels, fact.rule.severity, AlertState.PENDING, now)
    return _described(alert, fact)


def _described(alert: Alert, fact: Fact) -> Alert:
    """With what the fact and its rule say now."""
    rule = fact.rule
    alert = replace(
        alert,
        severity=rule.severity,
        inhibited_by=rule.inhibited_by,
        linger_s=rule.linger_s,
        keep_s=rule.keep_s,
        meaning=rule.meaning,
    )
    if fact.condition is not Condition.BAD and alert.state is not AlertState.FIRING:
        return alert
    return replace(alert, value=fact.value, threshold=fact.threshold, sentence=fact.sentence)


def _fired(alert: Alert, fact: Fact, now: float, policy: AlertPolicy) -> Alert:
    """A pending alert of which a bad fact came: it fires once it has been bad for long enough."""
    if now - alert.since < fact.rule.for_s:
        return alert
    firings = (*_lately(alert.firings, now, policy), now)[-policy.flapping :]
    fired_at = alert.fired_at if alert.is_open else now
    return replace(alert, state=AlertState.FIRING, fired_at=fired_at, good_since=None, firings=firings, inhibited_at=None)


def _ended(alert: Alert, now: float, policy: AlertPolicy) -> Alert:
    """A firing alert of which nothing bad is known now: it is resolved once that has lasted."""
    good_since = now if alert.good_since is None else alert.good_since
    keep_s = max(alert.keep_s, policy.flapping_keep_s) if alert.is_flapping(now, policy) else alert.keep_s
    if now - good_since < keep_s:
        return replace(alert, good_since=good_since)
    return replace(alert, state=AlertState.RESOLVED, good_since=None, resolved_at=now)


def _gone(alert: Alert, now: float, policy: AlertPolicy) -> Alert | None:
    """A resolved alert, kept as long as its end is to be told or it may come to flap."""
    return alert if alert.is_open or _lately(alert.firings, now, policy) else None


def _lately(firings: tuple[float, ...], now: float, policy: AlertPolicy) -> tuple[float, ...]:
    return tuple(at for at in firings if now - at < policy.flapping_window_s)


def _inhibited(alerts: Mapping[str, Alert], now: float) -> dict[str, Alert]:
    """With it noted beside which of them something worse fires in the same place: all labels that both have are equal."""
    firing: dict[str, list[dict[str, str]]] = {}
    for alert in alerts.values():
        if alert.state is AlertState.FIRING:
            firing.setdefault(alert.rule, []).append(dict(alert.labels))
    noted = dict(alerts)
    for print_, alert in alerts.items():
        mine = dict(alert.labels)
        is_beside = alert.state is AlertState.FIRING and any(
            all(mine.get(name, value) == value for name, value in labels.items())
            for rule in alert.inhibited_by
            for labels in firing.get(rule, ())
        )
        if is_beside:
            noted[print_] = replace(alert, inhibited_at=now)
    return noted


def _news(
    alerts: Iterable[Alert], due: Mapping[str, float], silences: Sequence[Silence], now: float, policy: AlertPolicy
) -> tuple[dict[str, float], tuple[Notification, ...]]:
    """What is due to be told now, and when the rest is."""
    groups: dict[str, list[tuple[News, Alert]]] = {}
    for alert in alerts:
        news = _news_of(alert, now, policy)
        if news is None or (news is not News.RESOLVED and _is_muted(alert, silences, now)):
            continue
        groups.setdefault(alert.group, []).append((news, alert))
    later: dict[str, float] = {}
    told = []
    for group, items in sorted(groups.items()):
        due_at = min(due.get(group, now + policy.group_wait_s), now + policy.group_wait_s)
        if now < due_at:
            later[group] = due_at
            continue
        items.sort(key=lambda item: (item[1].severity is not AlertSeverity.PAGE, item[1].rule, item[1].labels))
        told.append(Notification(_id_of(group, items), group, now, tuple(items)))
    return later, tuple(told)


def _news_of(alert: Alert, now: float, policy: AlertPolicy) -> News | None:
    if alert.state is not AlertState.FIRING:
        return News.RESOLVED if alert.is_open else None
    if not alert.is_open:
        return News.FIRING
    return News.REPEAT if alert.told_at is not None and now - alert.told_at >= policy.repeat_s else None


def _is_muted(alert: Alert, silences: Sequence[Silence], now: float) -> bool:
    """Whether nobody is to hear that it fires. That it ended is told whoever was told that it began."""
    is_inhibited = alert.inhibited_at is not None and now - alert.inhibited_at <= alert.linger_s
    return is_inhibited or silenced_by(alert.all_labels(), silences, now) is not None


def _heard(alert: Alert, news: News, now: float) -> Alert:
    return replace(alert, told=news, told_at=now)


def _id_of(group: str, items: Iterable[tuple[News, Alert]]) -> str:
    said = [[news, alert.fingerprint, alert.fired_at, alert.resolved_at, alert.told_at] for news, alert in items]
    return sha256(json.dumps([group, said], separators=(",", ":")).encode()).hexdigest()[:32]


def _rank(fact: Fact) -> int:
    return list(Condition).index(fact.condition)
