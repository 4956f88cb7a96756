"""How each served model is doing, in a few figures: from the monitor's store, for the first page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup

from podium.dashboard.budgets import Budget, objectives_of, period_of
from podium.dashboard.charts.sparks import spark
from podium.dashboard.quality_wording import TONES, WORDS, form_of, length_of, short_title_of, title_of
from podium.dashboard.sources import DashboardSources, ServedEndpoint
from podium.domain.monitoring.findings import Check, Role
from podium.domain.monitoring.growth import Growth
from podium.domain.monitoring.objectives import ObjectiveKind, budget_left
from podium.domain.monitoring.quantiles import quantile
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.errors import NotFound
from podium.monitoring.quality.judging import VariantQuality, newest_figures
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import Served, StoredFinding, TrafficPoint
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts

_NOW_S = 900
_RANKS = ("alert", "warn", "ok", None, "insufficient_data")


@dataclass(frozen=True, slots=True)
class QualityPulse:
    """The figure of quality that says most of a model now: one that is surely worse than it was, else its task's first.

    Attributes:
        metric: Which; empty where there is none.
        value: Of the newest labels that are enough.
        rows: That it rests on.
        length_s: How far back it reaches.
        variant: Of which variant; empty where traffic was not split.
        baseline: What the profile has.
        verdict: Beside that; None without one.
        why: Why there is none, in a word and in a sentence.
    """

    metric: str = ""
    value: float | None = None
    rows: int = 0
    length_s: int = 0
    variant: str = ""
    baseline: float | None = None
    verdict: str | None = None
    why: tuple[str, str] = ("no labels", "No label came for its answers: send what was true to /models/NAME/feedback.")

    @property
    def rank(self) -> int:
        """Smaller is worse; last what nothing is known of."""
        return _RANKS.index(self.verdict) if self.metric else len(_RANKS)

    @property
    def figure(self) -> str:
        """The value as it is written."""
        return form_of(self.metric)(self.value)

    @property
    def tone(self) -> str:
        """Of its verdict."""
        return TONES.get(self.verdict or "", "quiet")

    @property
    def word(self) -> str:
        """For its verdict."""
        return WORDS.get(self.verdict or "", "")

    @property
    def caption(self) -> str:
        """What it is, and of which time, in a few letters."""
        return f"{short_title_of(self.metric)}, last {length_of(self.length_s)}"

    @property
    def sentence(self) -> str:
        """All that there is to it."""
        of = f" of {self.variant}" if self.variant else ""
        beside = "without a baseline" if self.baseline is None else f"the profile has {form_of(self.metric)(self.baseline)}"
        length = length_of(self.length_s)
        return f"{title_of(self.metric)}{of} by {self.rows:,} labelled rows of the last {length}; {beside}"


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is said of a model; None where nobody knows.

    Attributes:
        rate: Requests a second in the last quarter of an hour, of all versions.
        errors: Which share of them had a 5xx status.
        p99_s: What 99 of 100 of them took at most.
        spark: Requests of the last day.
        columns, drifted: How many are watched, and of how many an alert stands.
        predictions: Whether an alert stands of what it answers.
        budget: What its availability may cost, and how much of that is left; None without such an objective.
        quality: How good the version is that serves.
    """

    rate: float | None
    errors: float | None
    p99_s: float | None
    spark: Markup | None
    columns: int
    drifted: int
    predictions: bool
    budget: Budget | None = None
    quality: QualityPulse = field(default_factory=QualityPulse)

    @property
    def values(self) -> list[Any]:
        """For programs."""
        left = None if self.budget is None else self.budget.left
        quality = self.quality
        told = [quality.metric or None, quality.value, quality.verdict, quality.length_s or None]
        return [self.rate, self.errors, self.p99_s, self.columns, self.drifted, left, *told]


def pulses_of(sources: DashboardSources, endpoints: Sequence[ServedEndpoint], now: float) -> dict[str, Pulse]:
    """Of each endpoint, by name; none where no monitor has written anything.

    Args:
        sources: Where to read.
        endpoints: Those that are served.
        now: Seconds of the Unix epoch.

    Raises:
        MonitorStoreError: It cannot be read.
    """
    try:
        with sources.monitor.reading() as connection:
            known = reading.served(connection)
            end = int(now // 60) * 60
            recent, day = Span(end - _NOW_S, end), _day(now)
            found = {}
            for each in endpoints:
                versions = [version for version in known if version.key.model == each.name]
                lately = [reading.traffic(connection, version.key, recent, 60) for version in versions]
                hours = [reading.traffic(connection, version.key, day, HOUR_S) for version in versions]
                serving = next((version for version in versions if version.key.version == each.facts.get("serving")), None)
                findings = [] if serving is None else reading.latest_findings(connection, serving.key)
                if versions:
                    budget = _budget(connection, each, versions, now)
                    quality = QualityPulse() if serving is None else _quality(connection, serving, now)
                    pulse = _pulse(each.name, lately, hours, findings)
                    found[each.name] = replace(pulse, budget=budget, quality=quality)
            return found
    except NotFound:
        return {}


def _budget(connection: StoreConnection, endpoint: ServedEndpoint, versions: Sequence[Served], now: float) -> Budget | None:
    """Of its availability: that needs two sums of each version, where a latency's would need all its buckets."""
    objective = next((each for each in objectives_of(endpoint) if each.kind is ObjectiveKind.AVAILABILITY), None)
    if objective is None:
        return None
    counted = [reading.errors(connection, each.key, period_of(objective, now)) for each in versions]
    growth = Growth(sum(total for total, _ in counted), sum(bad for _, bad in counted), 0.0)
    return Budget(objective, growth, budget_left(growth, objective), None)


def _quality(connection: StoreConnection, serving: Served, now: float) -> QualityPulse:
    guess, variants = newest_figures(connection, serving.key, now)
    if guess is not None and guess.task is None:
        return QualityPulse(why=("task unknown", guess.why))
    found = [pulse for each in variants if (pulse := _of_variant(each)) is not None]
    if guess is not None and not found:
        return QualityPulse(why=("no new labels", "Labels came, and none for what was answered in the last month."))
    return min(found, key=lambda pulse: (pulse.rank, -pulse.rows), default=QualityPulse())


def _of_variant(quality: VariantQuality) -> QualityPulse | None:
    beside = {each.figure.metric: each for each in quality.shortfalls}
    found = []
    for each in quality.figures:
        if each.value is not None:
            against = beside.get(each.metric)
            baseline, verdict = (None, None) if against is None else (against.baseline, against.verdict)
            of = quality.span.length_s, quality.variant
            found.append(QualityPulse(each.metric, each.value, each.rows, *of, baseline, verdict))
    # Not what may be worse: of many figures one often looks so by chance, and some have no interval that would tell.
    return next((pulse for pulse in found if pulse.verdict == "alert"), next(iter(found), None))


def _day(now: float) -> Span:
    end = -int(-now // HOUR_S) * HOUR_S
    return Span(end - DAY_S, end)


def _pulse(
    name: str,
    lately: Sequence[Sequence[TrafficPoint]],
    hours: Sequence[Sequence[TrafficPoint]],
    findings: Sequence[StoredFinding],
) -> Pulse:
    total = sum((point.traffic for points in lately for point in points), TrafficCounts())
    watched_s = sum(point.watched_s for point in lately[0])
    slowest = quantile(LATENCY_EDGES_S, total.cumulative, 0.99)
    rates = [
        sum(point.traffic.requests for point in together) / together[0].watched_s if together[0].watched_s else None
        for together in zip(*hours, strict=True)
    ]
    drift = [each for each in findings if each.finding.check is Check.DRIFT and each.finding.role is Role.FEATURE]
    standing = {(each.finding.role, each.finding.name) for each in findings if each.is_standing}
    return Pulse(
        rate=round(total.requests / watched_s, 3) if watched_s else None,
        errors=total.server_errors / total.requests if total.requests else None,
        p99_s=LATENCY_EDGES_S[-1] if slowest is not None and math.isinf(slowest) else slowest,
        spark=spark(rates, f"Requests of {name} in the last day") if any(rates) else None,
        columns=len(drift),
        drifted=sum(role is Role.FEATURE for role, _ in standing),
        predictions=any(role is Role.PREDICTION for role, _ in standing),
    )
