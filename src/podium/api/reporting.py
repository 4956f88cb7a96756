"""`podium monitor report`: what the monitor has seen of a model, out of its database; no server is asked."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any

from podium.api.quality_report import quality_told
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.profile import CategoryProfile, Profile
from podium.domain.monitoring.quality.unlabelled import estimates_of
from podium.domain.monitoring.quantiles import quantile
from podium.domain.monitoring.standing import DriftOverview, Spread, StandingFinding, overview
from podium.domain.monitoring.windows import DAY_S, SLOT_S, Span
from podium.domain.nearest import did_you_mean, listed
from podium.errors import NotFound
from podium.monitoring.quality.judging import judge_quality
from podium.monitoring.store import reading, writing
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.opening import history_of
from podium.monitoring.store.quality import kept_since
from podium.monitoring.store.reading import DataPoint, Served, StoredFinding
from podium.monitoring.store.writing import MINUTE_S
from podium.settings.home import Home, find_home
from podium.settings.monitor_store import monitor_store_said
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_UNKNOWN = StandingFinding()
_NO_KEY = "its categories are hashed, and whoever counted had not their key (serve.monitor_key_file)"


def monitor_report(
    name: str,
    version: str | None = None,
    *,
    home: Home | None = None,
    store: str | None = None,
    length_s: int = DAY_S,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """What is known of a model's versions, the one that was served last first.

    Args:
        name: The endpoint's public name.
        version: Only this one.
        home: PODIUM_HOME, where nobody says otherwise.
        store: The database of the history (`postgresql://`), where it is not what PODIUM_SERVE_MONITOR_STORE or podium.toml
            says.
        length_s: How long back traffic is summed up: whole minutes.
        clock: Seconds since 1970.

    Returns: `model`, and `versions`, of each `version`, `stage`, `profile`, `seen`, `traffic`, `window`, `drift`,
        `estimated`, `together`, `columns` and `quality`.

    Raises:
        NotFound: Nothing was seen of such a model or version.
        MonitorStoreError: The database cannot be read.
    """
    history = history_of(home or find_home(), store or monitor_store_said())
    with history.reading() as connection:
        every = reading.served(connection)
        found = [each for each in every if each.key.model == name and version in {None, each.key.version}]
        if not found:
            raise _not_found(name, version, every, history.place)
        now = clock()
        end = (int(now) // MINUTE_S + 1) * MINUTE_S
        span = Span(end - length_s // MINUTE_S * MINUTE_S, end)
        return {"model": name, "versions": [_version(connection, each, span, now) for each in found]}


def _version(connection: StoreConnection, served: Served, span: Span, now: float) -> dict[str, Any]:
    key, found = served.key, reading.latest_findings(connection, served.key)
    profile = reading.profile_of(connection, key)
    standing = {} if profile is None else writing.standing_of(connection, key, profile.profile_id)
    held = {(role, name) for (role, name, check), each in standing.items() if each.is_alert and check is Check.DRIFT}
    summary = overview([each.finding for each in found], held)
    points: Sequence[DataPoint] = ()
    if found and profile is not None:
        # The stretch that was judged last, and what is known of it now.
        points = reading.data(connection, key, profile.profile_id, found[0].finding.span, SLOT_S)
    return {
        "version": key.version,
        "stage": served.stage or None,
        "profile": None
        if profile is None
        else {
            "id": profile.profile_id,
            "kind": profile.source.kind.value,
            "rows": profile.source.rows,
            "columns": len(profile.columns),
        },
        "seen": {"first": _moment(served.first_seen), "last": _moment(served.last_seen)},
        "traffic": _traffic(connection, served, span),
        "window": _window(found, points),
        "drift": _drift(summary, found),
        "estimated": _estimated(profile, points),
        "together": _together(found, standing),
        "columns": _columns(found, standing, profile if any(point.window.rows for point in points) else None),
        "quality": quality_told(judge_quality(connection, key, now), kept_since(connection)),
    }


def _traffic(connection: StoreConnection, served: Served, span: Span) -> dict[str, Any]:
    points = reading.traffic(connection, served.key, span, MINUTE_S)
    total = sum((point.traffic for point in points), TrafficCounts())
    return {
        "from": _moment(span.start),
        "to": _moment(span.end),
        "watched_s": sum(point.watched_s for point in points),
        "requests": total.requests,
        "client_errors": total.client_errors,
        "server_errors": total.server_errors,
        "rejected": total.rejected,
        "rows": total.rows,
        "latency_s": {label: _finite(quantile(LATENCY_EDGES_S, total.cumulative, at)) for label, at in _SHARES.items()},
    }


def _window(found: Sequence[StoredFinding], points: Sequence[DataPoint]) -> dict[str, Any] | None:
    if not points:
        return None
    span = found[0].finding.span
    return {
        "from": _moment(span.start),
        "to": _moment(span.end),
        "rows": sum(point.window.rows for point in points),
        "dropped": sum(point.dropped for point in points),
        "late_rows": sum(point.window.late_rows for point in points),
        "watched_s": sum(point.window.watched_s for point in points),
    }


def _drift(summary: DriftOverview, found: Sequence[StoredFinding]) -> dict[str, Any]:
    """`pending` where nothing stands and the last window was beyond a threshold: the next one will tell."""
    pending = [
        {"name": each.finding.name, "role": each.finding.role.value}
        for each in found
        if each.finding.check is Check.DRIFT
        and each.finding.verdict is ColumnVerdict.ALERT
        and each.finding.name not in {*summary.drifted, *summary.predictions}
    ]
    state = "pending" if pending and summary.spread is Spread.NONE else summary.spread.value
    return {
        "state": state if summary.judged or pending else "unknown",
        "columns": list(summary.drifted),
        "predictions": list(summary.predictions),
        "pending": pending,
        "judged": summary.judged,
        "unknown": summary.unknown,
        "alerts": [
            {"name": each.finding.name, "role": each.finding.role.value, "check": each.finding.check.value}
            for each in found
            if each.is_standing
        ],
    }


def _estimated(profile: Profile | None, points: Sequence[DataPoint]) -> dict[str, Any] | None:
    """How good the window's answers probably are, as far as scores say; no label was asked."""
    counts = [point.window.counts for point in points if point.window.counts is not None]
    if profile is None or not counts:
        return None
    found = estimates_of(profile, reduce(add, counts))
    return {
        "task": None if found.task is None else found.task.value,
        "rows": found.rows,
        "why_not": found.why or None,
        "figures": [
            {
                "metric": each.estimate.metric,
                "value": each.estimate.value,
                "low": None if each.estimate.interval is None else each.estimate.interval[0],
                "high": None if each.estimate.interval is None else each.estimate.interval[1],
                "baseline": each.baseline,
                "usual_low": each.usual.low,
                "usual_high": each.usual.high,
                "is_usual": each.is_usual,
            }
            for each in found.figures
        ],
    }


def _columns(
    found: Sequence[StoredFinding], standing: dict[writing.Finder, StandingFinding], profile: Profile | None
) -> list[dict[str, Any]]:
    """Each column and prediction with its checks; those that are furthest from the profile first."""
    columns: dict[tuple[Role, str], dict[str, Any]] = {}
    for stored in found:
        finding = stored.finding
        if finding.role is Role.TOGETHER:
            continue
        column = columns.setdefault(
            (finding.role, finding.name), {"name": finding.name, "role": finding.role.value, "why_not": None, "checks": {}}
        )
        if finding.check is Check.MISSING and not finding.rows and _is_hashed(finding, profile):
            column["why_not"] = _NO_KEY
        column["checks"][finding.check.value] = _seen(stored, standing) | {
            "psi": finding.psi,
            "critical": finding.critical,
            "p_value": finding.p_value,
        }
    return sorted(columns.values(), key=lambda column: (-_distance(column), column["role"], column["name"]))


def _is_hashed(finding: ColumnFinding, profile: Profile | None) -> bool:
    """Whether a column can be counted by nobody but who has the key: of any other column each row is counted."""
    column = None if profile is None else profile.columns.get(finding.name)
    return finding.role is Role.FEATURE and isinstance(column, CategoryProfile) and column.bins.is_hashed


def _seen(stored: StoredFinding, standing: dict[writing.Finder, StandingFinding]) -> dict[str, Any]:
    finding = stored.finding
    since = standing.get((finding.role, finding.name, finding.check), _UNKNOWN).since
    return {
        "verdict": finding.verdict.value,
        "is_standing": stored.is_standing,
        "since": None if since is None else _moment(since),
        "method": finding.method,
        "score": finding.score,
        "warn": finding.warn,
        "alert": finding.alert,
        "usual": finding.usual,
        "rows": finding.rows,
        "reference_rows": finding.reference_rows,
    }


def _together(found: Sequence[StoredFinding], standing: dict[writing.Finder, StandingFinding]) -> dict[str, Any] | None:
    """All columns together; None where the profile does not say how they go together."""
    return next((_seen(each, standing) for each in found if each.finding.role is Role.TOGETHER), None)


def _distance(column: dict[str, Any]) -> float:
    """How near a column is to an alert of its drift; 1 is there."""
    drift = column["checks"].get(Check.DRIFT.value, {})
    return drift["score"] / drift["alert"] if drift.get("score") is not None and drift["alert"] else 0.0


def _not_found(name: str, version: str | None, every: Sequence[Served], place: str) -> NotFound:
    of_name = [each.key.version for each in every if each.key.model == name]
    if of_name:
        return NotFound(f"Nothing was seen of version {version} of {name!r}.", [f"{place}: {listed('versions', of_name)}"])
    names = sorted({each.key.model for each in every})
    hint = did_you_mean(name, names)
    return NotFound(
        f"Nothing was seen of a model that is served as {name!r}.{hint}", [f"{place}: {listed('models', names)}"]
    )


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _finite(value: float | None) -> float | None:
    """Beyond the last edge nothing is known but that; JSON has no word for infinity."""
    return value if value is not None and math.isfinite(value) else None
