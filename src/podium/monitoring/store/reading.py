"""What the monitor's database says, as frozen values: for the dashboard, reports and alerts.

Each function reads within one view of `MonitorStore.reading`. What nobody was there to count is a gap: `watched_s` says
for how much of a stretch the monitor was there.
"""

from dataclasses import dataclass, field
from typing import Any

from podium.domain.monitoring.attendance import Presence, attended
from podium.domain.monitoring.counts import ColumnCounts, ModelCounts
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role
from podium.domain.monitoring.profile import Profile
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.monitoring.windows import HOUR_S, SLOT_S, Span, Window
from podium.errors import InvalidInput
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.writing import MINUTE_S, VersionKey, read_traffic, sum_counts
from podium.telemetry.traffic import TrafficCounts

_NO_TRAFFIC = TrafficCounts()


@dataclass(frozen=True, slots=True)
class Served:
    """A version that was served.

    Attributes:
        stage: In the registry, when it was last seen; empty without one.
        profile_id: That its data were last watched by; None where nothing watches them.
        first_seen, last_seen: By the monitor.
    """

    key: VersionKey
    stage: str
    profile_id: str | None
    first_seen: int
    last_seen: int


@dataclass(frozen=True, slots=True)
class TrafficPoint:
    """The traffic of one stretch of time, and for how much of it somebody was there to count."""

    span: Span
    traffic: TrafficCounts
    watched_s: int


@dataclass(frozen=True, slots=True)
class DataPoint:
    """What was counted of a version's data in one stretch of time.

    Attributes:
        window: Counts by the version's profile.
        dropped: Rows that were seen and not counted.
    """

    window: Window[ModelCounts]
    dropped: int

    def column(self, role: Role, name: str) -> ColumnCounts | None:
        """The counts of one column; None where nothing was counted, or the profile has no such column."""
        counts = self.window.counts
        if counts is None:
            return None
        return (counts.columns if role is Role.FEATURE else counts.predictions).get(name)


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding, and whether its alert stood after it."""

    finding: ColumnFinding
    is_standing: bool


def served(connection: StoreConnection) -> list[Served]:
    """All versions that are remembered, those seen last first."""
    rows = connection.execute(
        "SELECT model, version, stage, profile_id, first_seen, last_seen FROM served "
        "ORDER BY last_seen DESC, model, first_seen DESC, version"
    )
    return [Served(VersionKey(model, version), *rest) for model, version, *rest in rows]


def profile_of(connection: StoreConnection, key: VersionKey, profile_id: str | None = None) -> Profile | None:
    """A version's profile: this one, or the one it was last watched by.

    Raises:
        InvalidProfile: What is kept is none.
    """
    found = connection.execute(
        "SELECT json FROM profiles WHERE model = ?1 AND version = ?2 AND profile_id = coalesce(?3, "
        "(SELECT profile_id FROM served WHERE model = ?1 AND version = ?2))",
        [key.model, key.version, profile_id],
    ).fetchone()
    return None if found is None else read_profile(found[0].encode())


def traffic(connection: StoreConnection, key: VersionKey, span: Span, step_s: int) -> list[TrafficPoint]:
    """A version's traffic in steps, oldest first; a step without requests is there too.

    Args:
        connection: Of `MonitorStore.reading`.
        key: Which version.
        span: From when to when; begins and ends where a step does.
        step_s: A multiple of a minute (minutes are kept for a week), or of an hour.

    Raises:
        InvalidInput: The steps are no such multiple, or the stretch is not made of whole ones.
    """
    length_s = _length(span, step_s, MINUTE_S)
    found: dict[int, TrafficCounts] = {}
    for start, *columns in connection.execute(
        "SELECT start, requests, client_errors, server_errors, rejected, rows, batches, duration_us, queue_us, predict_us, "
        "latency FROM traffic WHERE model = ? AND version = ? AND length_s = ? AND start >= ? AND start < ?",
        [key.model, key.version, length_s, span.start, span.end],
    ):
        step = (start - span.start) // step_s
        found[step] = found.get(step, _NO_TRAFFIC) + read_traffic(columns)
    watched = _watched(connection, span, step_s)
    return [
        TrafficPoint(each, found.get(step, _NO_TRAFFIC), watched.get(step, 0))
        for step, each in enumerate(_steps(span, step_s))
    ]


def errors(connection: StoreConnection, key: VersionKey, span: Span) -> tuple[int, int]:
    """How many requests a version had in a stretch of whole hours, and how many of them ended with a 5xx status."""
    total, bad = connection.execute(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(server_errors), 0) FROM traffic "
        "WHERE model = ? AND version = ? AND length_s = ? AND start >= ? AND start < ?",
        [key.model, key.version, HOUR_S, span.start, span.end],
    ).fetchone()
    return int(total), int(bad)


def data(
    connection: StoreConnection, key: VersionKey, profile_id: str, span: Span, step_s: int | None = None
) -> list[DataPoint]:
    """What was counted of a version's data by one profile, in steps, oldest first.

    Args:
        connection: Of `MonitorStore.reading`.
        key: Which version.
        profile_id: Counted by which profile.
        span: From when to when; begins and ends where a step does.
        step_s: A multiple of five minutes (kept for two days), or of an hour; not given, the whole stretch is one.

    Raises:
        InvalidInput: The steps are no such multiple, or the stretch is not made of whole ones.
    """
    step_s = step_s or span.length_s
    length_s = _length(span, step_s, SLOT_S)
    found: dict[int, _Sum] = {}
    for start, counts, dropped, late_rows in connection.execute(
        "SELECT start, counts, dropped, late_rows FROM windows "
        "WHERE model = ? AND version = ? AND profile_id = ? AND length_s = ? AND start >= ? AND start < ?",
        [key.model, key.version, profile_id, length_s, span.start, span.end],
    ):
        total = found.setdefault((start - span.start) // step_s, _Sum())
        total.take(counts, dropped, late_rows)
    watched = _watched(connection, span, step_s)
    points = []
    for step, each in enumerate(_steps(span, step_s)):
        total = found.get(step, _Sum())
        counts = sum_counts(profile_id, total.texts) if total.texts else None
        rows = counts.rows if counts else 0
        points.append(DataPoint(Window(each, counts, rows, watched.get(step, 0), total.late_rows), total.dropped))
    return points


def latest_findings(connection: StoreConnection, key: VersionKey) -> list[StoredFinding]:
    """What the last window that was judged shows, all columns and checks, by the profile of then."""
    rows = connection.execute(_LATEST_FINDINGS, [key.model, key.version])
    return [_finding(*row) for row in rows]


def findings_between(
    connection: StoreConnection, key: VersionKey, role: Role, name: str, check: Check, span: Span
) -> list[StoredFinding]:
    """One check of one column through time, oldest first: the last window of each hour, of each day after two weeks."""
    place = [key.model, key.version, role.value, name, check.value, span.start, span.end]
    return [_finding(*row) for row in connection.execute(_FINDINGS_OF, place)]


def drift_scores(
    connection: StoreConnection, key: VersionKey, role: Role, name: str, span: Span
) -> list[tuple[int, float | None]]:
    """A column's drift through time, oldest first: each window's end and score. For pictures of many columns."""
    place = [key.model, key.version, role.value, name, Check.DRIFT.value, span.start, span.end]
    return connection.execute(_SCORES, place).fetchall()


# The profiles are found one by one, each with one look into the key: so that findings are found by it, and no others read.
_PROFILES = """
    WITH RECURSIVE known(id) AS (
        SELECT min(profile_id) FROM findings WHERE model = ?1 AND version = ?2
        UNION ALL
        SELECT (SELECT min(profile_id) FROM findings WHERE model = ?1 AND version = ?2 AND profile_id > id)
        FROM known WHERE id IS NOT NULL
    )
"""
_OF_COLUMN = """
    FROM findings WHERE model = ?1 AND version = ?2 AND profile_id IN (SELECT id FROM known WHERE id IS NOT NULL)
        AND role = ?3 AND name = ?4 AND "check" = ?5 AND hour >= ?6 AND hour < ?7
    ORDER BY window_end
"""
_SCORES = f"{_PROFILES} SELECT window_end, score {_OF_COLUMN}"
_LATEST_FINDINGS = """
    WITH newest AS (SELECT hour, window_end FROM findings WHERE model = ?1 AND version = ?2
        AND hour = (SELECT max(hour) FROM findings WHERE model = ?1 AND version = ?2) ORDER BY window_end DESC LIMIT 1)
    SELECT name, role, "check", window_start, findings.window_end, method, score, warn, alert, rows, reference_rows,
        verdict, psi, critical, p_value, bins, usual, is_standing
    FROM findings, newest WHERE model = ?1 AND version = ?2
        AND findings.hour = newest.hour AND findings.window_end = newest.window_end
    ORDER BY role, name, "check"
"""
_FINDINGS_OF = f"""
    {_PROFILES}
    SELECT name, role, "check", window_start, window_end, method, score, warn, alert, rows, reference_rows, verdict,
        psi, critical, p_value, bins, usual, is_standing {_OF_COLUMN}
"""


def _finding(name: str, role: str, check: str, start: int, end: int, *rest: Any) -> StoredFinding:
    method, score, warn, alert, rows, reference_rows, verdict, *beside, is_standing = rest
    known = (method, score, warn, alert, rows, reference_rows, ColumnVerdict(verdict), *beside)
    return StoredFinding(ColumnFinding(name, Role(role), Check(check), Span(start, end), *known), bool(is_standing))


@dataclass(slots=True)
class _Sum:
    texts: list[str] = field(default_factory=list)
    dropped: int = 0
    late_rows: int = 0

    def take(self, counts: str, dropped: int, late_rows: int) -> None:
        self.texts.append(counts)
        self.dropped += dropped
        self.late_rows += late_rows


def _length(span: Span, step_s: int, short_s: int) -> int:
    """Which of the kept lengths make up these steps."""
    length_s = HOUR_S if not (step_s % HOUR_S or span.start % HOUR_S) else short_s
    if step_s < 1 or step_s % length_s or span.start % length_s or span.length_s % step_s:
        raise InvalidInput(
            f"Counts are kept for each {short_s} s and each hour: {span.start} to {span.end} in steps of {step_s} s is not "
            "made of whole ones."
        )
    return length_s


def _steps(span: Span, step_s: int) -> list[Span]:
    return [Span(start, start + step_s) for start in range(span.start, span.end, step_s)]


def _watched(connection: StoreConnection, span: Span, step_s: int) -> dict[int, int]:
    length_s = HOUR_S if not (step_s % HOUR_S or span.start % HOUR_S) else MINUTE_S
    rows = connection.execute(
        "SELECT server, (start - ?1) / ?2, sum(watched_s) FROM watched "
        "WHERE length_s = ?3 AND start >= ?1 AND start < ?4 GROUP BY 1, 2",
        [span.start, step_s, length_s, span.end],
    )
    seconds = {(server, step): watched_s for server, step, watched_s in rows}
    there = connection.execute(
        "SELECT server, since, until FROM servers WHERE until > ? AND since < ?", [span.start, span.end]
    )
    return attended(span, step_s, [Presence(*each) for each in there], seconds)
