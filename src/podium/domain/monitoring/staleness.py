"""Seven clocks that say what about a model has grown old. They run apart: a model may be new and its labels late."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from podium.errors import InvalidInput

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0


class Clock(StrEnum):
    """What grows old.

    Attributes:
        MODEL: Since the end of its training, or since it was registered.
        DEPLOYMENT: Since it took over.
        SUPERSEDED: Since a newer version stands in the same stage and is not served.
        PROFILE: Since the profile was made that drift is measured against.
        TRAFFIC: Since the last request.
        LABELS: Since the last feedback, in multiples of its usual delay.
        MONITOR: Since anything of this was looked at.
    """

    MODEL = "model"
    DEPLOYMENT = "deployment"
    SUPERSEDED = "superseded"
    PROFILE = "profile"
    TRAFFIC = "traffic"
    LABELS = "labels"
    MONITOR = "monitor"


class AgeStanding(StrEnum):
    """How old it is; `stopped` where nothing makes the clock run, which is not the same as young."""

    STOPPED = "stopped"
    OK = "ok"
    WARN = "warn"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class AgeBounds:
    """From which age on it is a warning and an alert; None: never.

    Args:
        warn_s, alert_s: Seconds. An age equal to one of them does not exceed it yet.
        least_delay_s: Of the labels' clock, whose bounds are multiples of the usual delay: a delay shorter than this
            counts as this. Otherwise 0.

    Raises:
        InvalidInput: One is no positive number, or the warning would come after the alert.
    """

    warn_s: float | None = None
    alert_s: float | None = None
    least_delay_s: float = 0.0

    def __post_init__(self) -> None:
        given = [each for each in (self.warn_s, self.alert_s) if each is not None]
        if not all(math.isfinite(each) and each > 0 for each in given) or given != sorted(given):
            raise InvalidInput(
                f"The bounds of a clock are positive and a warning comes first, got warn {self.warn_s!r} and alert "
                f"{self.alert_s!r}."
            )


DEFAULT_BOUNDS: Mapping[Clock, AgeBounds] = {
    Clock.MODEL: AgeBounds(30 * _DAY, 90 * _DAY),
    Clock.DEPLOYMENT: AgeBounds(180 * _DAY),
    Clock.SUPERSEDED: AgeBounds(_DAY, 7 * _DAY),
    Clock.PROFILE: AgeBounds(90 * _DAY, 180 * _DAY),
    Clock.TRAFFIC: AgeBounds(12 * _HOUR, _DAY),
    Clock.LABELS: AgeBounds(3, 5, _HOUR),
    Clock.MONITOR: AgeBounds(10 * _MINUTE, _HOUR),
}
"""Of the labels' clock in multiples of the usual delay, of the others in seconds."""


@dataclass(frozen=True, slots=True)
class Times:
    """When what happened to one version of a model. None: never, or nobody knows.

    Args:
        trained_at: End of the run that trained it.
        registered_at: Stands for that where no run is known.
        deployed_at: It began to take traffic.
        superseded_at: A newer version has been in the stage since then, and is not served.
        newer: Which one.
        profiled_at: Its profile was made.
        requested_at: The last request.
        labelled_at: The last feedback that was matched.
        usual_delay_s: How long after the answer feedback usually comes (its 95th percentile).
        evaluated_at: The monitor's last evaluation; where it never had one, when it began to watch.
    """

    trained_at: float | None = None
    registered_at: float | None = None
    deployed_at: float | None = None
    superseded_at: float | None = None
    newer: str | None = None
    profiled_at: float | None = None
    requested_at: float | None = None
    labelled_at: float | None = None
    usual_delay_s: float | None = None
    evaluated_at: float | None = None


@dataclass(frozen=True, slots=True)
class Age:
    """What one clock shows.

    Args:
        clock: Which.
        standing: How old that is.
        age_s: Seconds; None where it stands still.
        warn_s, alert_s: Beyond which it is a warning or an alert, in seconds.
        sentence: The same for people.
    """

    clock: Clock
    standing: AgeStanding
    age_s: float | None = None
    warn_s: float | None = None
    alert_s: float | None = None
    sentence: str = field(default="", compare=False)


def ages(times: Times, now: float, bounds: Mapping[Clock, AgeBounds] | None = None) -> dict[Clock, Age]:
    """Read all seven clocks.

    Args:
        times: What is known of the version.
        now: On the clock of those times. What is in the future by it is of age 0.
        bounds: Of this model, where they are not `DEFAULT_BOUNDS`.
    """
    own = {**DEFAULT_BOUNDS, **(bounds or {})}
    return {clock: _age(clock, times, now, own[clock]) for clock in Clock}


def _age(clock: Clock, times: Times, now: float, bounds: AgeBounds) -> Age:
    since = _since(clock, times)
    warn_s, alert_s = bounds.warn_s, bounds.alert_s
    if clock is Clock.LABELS:
        delay_s = max(times.usual_delay_s or 0.0, bounds.least_delay_s)
        warn_s, alert_s = (None if each is None else each * delay_s for each in (warn_s, alert_s))
    if since is None:
        return Age(clock, AgeStanding.STOPPED, None, warn_s, alert_s, _STOPPED[clock])
    age_s = max(0.0, now - since)
    standing = AgeStanding.OK
    if warn_s is not None and age_s > warn_s:
        standing = AgeStanding.WARN
    if alert_s is not None and age_s > alert_s:
        standing = AgeStanding.ALERT
    return Age(clock, standing, age_s, warn_s, alert_s, _sentence(clock, times, age_s))


def _since(clock: Clock, times: Times) -> float | None:
    """Since when it runs; None: it stands still."""
    match clock:
        case Clock.MODEL:
            return times.registered_at if times.trained_at is None else times.trained_at
        case Clock.DEPLOYMENT:
            return times.deployed_at
        case Clock.SUPERSEDED:
            return times.superseded_at
        case Clock.PROFILE:
            return times.profiled_at
        case Clock.TRAFFIC:
            known = [each for each in (times.requested_at, times.deployed_at) if each is not None]
            return max(known, default=None)
        case Clock.LABELS:
            return _labels_since(times)
        case Clock.MONITOR:
            return times.evaluated_at


def _labels_since(times: Times) -> float | None:
    """Labels can be late only where some came before, and something was asked since."""
    if times.labelled_at is None or times.usual_delay_s is None or times.requested_at is None:
        return None
    return times.labelled_at if times.requested_at > times.labelled_at else None


_STOPPED: Mapping[Clock, str] = {
    Clock.MODEL: "Nobody knows when it was trained or registered.",
    Clock.DEPLOYMENT: "It has not taken traffic yet.",
    Clock.SUPERSEDED: "No newer version waits in its stage.",
    Clock.PROFILE: "It has no profile.",
    Clock.TRAFFIC: "It has not taken traffic yet.",
    Clock.LABELS: "No labels are due: none ever came, or nothing was asked since the last one.",
    Clock.MONITOR: "It is not monitored.",
}


def _sentence(clock: Clock, times: Times, age_s: float) -> str:
    age = spoken(age_s)
    match clock:
        case Clock.MODEL if times.trained_at is None:
            return f"It was registered {age} ago; when it was trained is not known."
        case Clock.MODEL:
            return f"Its training ended {age} ago."
        case Clock.DEPLOYMENT:
            return f"It took over {age} ago."
        case Clock.SUPERSEDED:
            newer = f"version {times.newer}" if times.newer else "a newer version"
            return f"For {age} {newer} has been in its stage and is not served."
        case Clock.PROFILE:
            return f"The profile that drift is measured against was made {age} ago."
        case Clock.TRAFFIC if times.requested_at is None:
            return f"It took over {age} ago, and nobody has asked it yet."
        case Clock.TRAFFIC:
            return f"The last request came {age} ago."
        case Clock.LABELS:
            return f"The last label came {age} ago; usually they follow within {spoken(times.usual_delay_s or 0.0)}."
        case Clock.MONITOR:
            return f"The monitor looked at it {age} ago."


def spoken(seconds: float) -> str:
    """An age as people say it, rounded down, so that nothing is told before it is so: `8 days`, `90 minutes`."""
    for unit_s, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= 2 * unit_s:
            return f"{int(seconds // unit_s)} {name}s"
    whole = int(max(0.0, seconds))
    return f"{whole} second{'' if whole == 1 else 's'}"
