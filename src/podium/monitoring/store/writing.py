"""What the monitor writes, one function for each table; each is called within one transaction of `MonitorStore.writing`.

Counts are kept twice, for short stretches and for hours, by the same additions: so nothing has to be put together later,
and the short ones can be given up long before the hours.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from podium.domain.monitoring.counts import ColumnCounts, ErrorSums, ModelCounts
from podium.domain.monitoring.findings import Check, ColumnFinding, Role
from podium.domain.monitoring.profile import Profile
from podium.domain.monitoring.standing import StandingFinding
from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S, WEEK_S
from podium.monitoring.store.contract import StoreConnection, put
from podium.telemetry.traffic import TrafficCounts

MINUTE_S = 60

_HOURLY_FINDINGS_S = 2 * WEEK_S
_SHORT = (
    ("DELETE FROM traffic WHERE start < ?1 OR (length_s = ?2 AND start < ?3)", MINUTE_S, WEEK_S),
    ("DELETE FROM watched WHERE start < ?1 OR (length_s = ?2 AND start < ?3)", MINUTE_S, WEEK_S),
    ("DELETE FROM windows WHERE start < ?1 OR (length_s = ?2 AND start < ?3)", SLOT_S, 2 * DAY_S),
)
_OLD = (
    "DELETE FROM readings WHERE at < ?",
    "DELETE FROM profiles WHERE (model, version) IN (SELECT model, version FROM served WHERE last_seen < ?)",
    "DELETE FROM standing WHERE (model, version) IN (SELECT model, version FROM served WHERE last_seen < ?)",
    "DELETE FROM served WHERE last_seen < ?",
    "DELETE FROM servers WHERE until < ?",
)

_TRAFFIC = "requests client_errors server_errors rejected rows batches duration_us queue_us predict_us latency"
_PUT_TRAFFIC = put("traffic", "model version length_s start", _TRAFFIC)
_PUT_WINDOW = put("windows", "model version profile_id length_s start", "rows dropped late_rows counts")
_PUT_READING = put("readings", "source model version", "at cells")
_COLUMN = 'model version profile_id role name "check"'
_PUT_FINDING = put(
    "findings",
    f"{_COLUMN} hour",
    "window_start window_end method score warn alert psi critical p_value rows reference_rows bins verdict usual "
    "is_standing",
)
_PUT_STANDING = put("standing", _COLUMN, "is_alert since in_a_row first judged_until")

Finder = tuple[Role, str, Check]
"""Whose standing: role and name of a column, and the check."""


@dataclass(frozen=True, slots=True)
class VersionKey:
    """A version that is served: the endpoint's public name, and the version's label."""

    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of a version's data in one stretch of five minutes.

    Attributes:
        counts: By the version's profile.
        dropped: Rows that were seen and not counted.
        late_rows: Of the counted: those that may have come before the stretch, as nobody looked then.
    """

    counts: ModelCounts
    dropped: int = 0
    late_rows: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(self.counts + other.counts, self.dropped + other.dropped, self.late_rows + other.late_rows)


def see_version(connection: StoreConnection, key: VersionKey, stage: str, profile: Profile | None, now: int) -> None:
    """A version is served now, watched by this profile."""
    connection.execute(
        "INSERT INTO served VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (model, version) DO UPDATE SET "
        "stage = excluded.stage, last_seen = excluded.last_seen, "
        "profile_id = coalesce(excluded.profile_id, served.profile_id)",
        [key.model, key.version, stage, profile.profile_id if profile else None, now, now],
    )
    if profile is not None and not _has_profile(connection, key, profile.profile_id):
        connection.execute(
            "INSERT INTO profiles VALUES (?, ?, ?, ?, ?, ?)",
            [key.model, key.version, profile.profile_id, profile.source.kind.value, profile.to_json(), now],
        )


def _has_profile(connection: StoreConnection, key: VersionKey, profile_id: str) -> bool:
    row = [key.model, key.version, profile_id]
    found = connection.execute("SELECT 1 FROM profiles WHERE model = ? AND version = ? AND profile_id = ?", row)
    return found.fetchone() is not None


def watch(connection: StoreConnection, since: int, until: int, server: str = "") -> None:
    """The monitor of a server was there all this time."""
    connection.execute(
        "INSERT INTO servers VALUES (?, ?, ?, '') ON CONFLICT (server) DO UPDATE SET "
        "since = CASE WHEN excluded.since < servers.since THEN excluded.since ELSE servers.since END, "
        "until = CASE WHEN excluded.until > servers.until THEN excluded.until ELSE servers.until END",
        [server, since, until],
    )
    for length_s in (MINUTE_S, HOUR_S):
        start = since - since % length_s
        while start < until:
            watched_s = min(until, start + length_s) - max(since, start)
            connection.execute(
                "INSERT INTO watched VALUES (?, ?, ?, ?) ON CONFLICT (length_s, start, server) DO UPDATE SET watched_s = "
                "CASE WHEN watched.watched_s + excluded.watched_s < watched.length_s "
                "THEN watched.watched_s + excluded.watched_s ELSE watched.length_s END",
                [length_s, start, server, watched_s],
            )
            start += length_s


def add_traffic(connection: StoreConnection, key: VersionKey, minute: int, traffic: TrafficCounts) -> None:
    """More traffic of a minute, and thereby of its hour."""
    for length_s in (MINUTE_S, HOUR_S):
        row = [key.model, key.version, length_s, minute - minute % length_s]
        found = connection.execute(
            "SELECT requests, client_errors, server_errors, rejected, rows, batches, duration_us, queue_us, predict_us, "
            "latency FROM traffic WHERE model = ? AND version = ? AND length_s = ? AND start = ?",
            row,
        ).fetchone()
        *sums, latency = astuple(traffic if found is None else traffic + read_traffic(found))
        connection.execute(_PUT_TRAFFIC, [*row, *sums, json.dumps(latency)])


def read_traffic(columns: Sequence[int | str]) -> TrafficCounts:
    """The traffic in the columns of its table, `requests` to `latency`."""
    *sums, latency = columns
    return TrafficCounts.from_cells([*map(int, sums), *json.loads(str(latency))])


def add_window(connection: StoreConnection, key: VersionKey, slot: int, counted: Counted) -> None:
    """More rows of a stretch of five minutes, and thereby of its hour."""
    profile_id = counted.counts.profile_id
    for length_s in (SLOT_S, HOUR_S):
        row = [key.model, key.version, profile_id, length_s, slot - slot % length_s]
        found = connection.execute(
            "SELECT counts, dropped, late_rows FROM windows "
            "WHERE model = ? AND version = ? AND profile_id = ? AND length_s = ? AND start = ?",
            row,
        ).fetchone()
        total = counted
        if found is not None:
            total = counted + Counted(read_counts(profile_id, found[0]), found[1], found[2])
        connection.execute(
            _PUT_WINDOW,
            [*row, total.counts.rows, total.dropped, total.late_rows, written_counts(total.counts)],
        )


def written_counts(counts: ModelCounts) -> str:
    """Counts as JSON: rows, the cells of each column and prediction, and errors of the columns together where there are."""
    content: dict[str, Any] = {
        "rows": counts.rows,
        "columns": {name: column.cells for name, column in counts.columns.items()},
        "predictions": {name: column.cells for name, column in counts.predictions.items()},
    }
    if counts.together.rows:
        content["together"] = astuple(counts.together)
    return json.dumps(content, separators=(",", ":"))


def read_counts(profile_id: str, text: str) -> ModelCounts:
    """The counts that `written_counts` wrote."""
    content = json.loads(text)
    columns, predictions = (
        {name: ColumnCounts.from_cells(tuple(cells)) for name, cells in content[part].items()}
        for part in ("columns", "predictions")
    )
    return ModelCounts(profile_id, content["rows"], columns, predictions, _errors(content))


def sum_counts(profile_id: str, texts: Sequence[str]) -> ModelCounts:
    """The sum of counts that `written_counts` wrote: hundreds of windows of hundreds of columns, cell by cell."""
    contents = [json.loads(text) for text in texts]
    parts = []
    for part in ("columns", "predictions"):
        cells = {name: zip(*(content[part][name] for content in contents), strict=True) for name in contents[0][part]}
        parts.append({name: ColumnCounts.from_cells(tuple(map(sum, columns))) for name, columns in cells.items()})
    columns, predictions = parts
    errors = sum(map(_errors, contents), ErrorSums())
    return ModelCounts(profile_id, sum(content["rows"] for content in contents), columns, predictions, errors)


def _errors(content: Mapping[str, Any]) -> ErrorSums:
    return ErrorSums(*content.get("together", ()))


def put_reading(connection: StoreConnection, source: str, key: VersionKey, cells: bytes, now: int) -> None:
    """How far a cumulative counter was read: what is more than that is not in the tables yet."""
    connection.execute(_PUT_READING, [source, key.model, key.version, now, cells])


def keep_reading(connection: StoreConnection, source: str, key: VersionKey, now: int) -> None:
    """Have a reading counted as young, whoever wrote it."""
    place = [now, source, key.model, key.version]
    connection.execute("UPDATE readings SET at = ? WHERE source = ? AND model = ? AND version = ?", place)


def put_spool_position(connection: StoreConnection, spool: str, position: int, now: int) -> None:
    """How much of a spool is written down, in the transaction that does it."""
    connection.execute(_PUT_READING, [spool, "", "", now, position.to_bytes(8, "little")])


def spool_position(connection: StoreConnection, spool: str) -> int:
    """The last that was kept of it; 0 where nothing was."""
    found = connection.execute("SELECT cells FROM readings WHERE source = ? AND model = '' AND version = ''", [spool])
    row = found.fetchone()
    return 0 if row is None else int.from_bytes(row[0], "little")


def note_written(connection: StoreConnection, server: str, turn: str, now: int) -> None:
    """Mark a transaction of a server's monitor, so that one whose end it did not hear is known to be kept or not."""
    connection.execute(
        "INSERT INTO servers VALUES (?, ?, ?, ?) ON CONFLICT (server) DO UPDATE SET written = excluded.written",
        [server, now, now, turn],
    )


def last_written(connection: StoreConnection, server: str) -> str | None:
    """The mark of the last one that was kept."""
    found = connection.execute("SELECT written FROM servers WHERE server = ?", [server]).fetchone()
    return None if found is None else str(found[0])


def readings(connection: StoreConnection) -> dict[tuple[str, VersionKey], bytes]:
    """How far all counters were read, by source and version."""
    rows = connection.execute("SELECT source, model, version, cells FROM readings")
    return {(source, VersionKey(model, version)): cells for source, model, version, cells in rows}


def put_findings(
    connection: StoreConnection,
    key: VersionKey,
    profile_id: str,
    findings: Iterable[ColumnFinding],
    standing: Mapping[Finder, StandingFinding],
) -> None:
    """What a window shows and what is held after it; of one hour the last window is kept."""
    version = [key.model, key.version, profile_id]
    shown, stands = [], []
    for finding in findings:
        finder = (finding.role, finding.name, finding.check)
        place = [*version, finding.role.value, finding.name, finding.check.value]
        held = standing[finder]
        shown.append(
            [
                *place, finding.span.end - finding.span.end % HOUR_S, finding.span.start, finding.span.end, finding.method,
                finding.score, finding.warn, finding.alert, finding.psi, finding.critical, finding.p_value, finding.rows,
                finding.reference_rows, finding.bins, finding.verdict.value, finding.usual, held.is_alert,
            ],
        )  # fmt: skip
        stands.append([*place, held.is_alert, held.since, held.in_a_row, held.first, held.judged_until])
    connection.executemany(_PUT_FINDING, shown)
    connection.executemany(_PUT_STANDING, stands)


def standing_of(connection: StoreConnection, key: VersionKey, profile_id: str) -> dict[Finder, StandingFinding]:
    """What is held of a version's columns after all windows so far."""
    rows = connection.execute(
        'SELECT role, name, "check", is_alert, since, in_a_row, first, judged_until FROM standing '
        "WHERE model = ? AND version = ? AND profile_id = ?",
        [key.model, key.version, profile_id],
    )
    return {
        (Role(role), name, Check(check)): StandingFinding(bool(is_alert), *rest)
        for role, name, check, is_alert, *rest in rows
    }


def forget(connection: StoreConnection, now: int, retention_s: int) -> None:
    """Give up what is too old: short stretches after days, everything after the retention.

    After two weeks one finding of each day is left of those of its hours: that of midnight.
    """
    gone = now - retention_s
    for statement, length_s, kept_s in _SHORT:
        connection.execute(statement, [gone, length_s, max(gone, now - kept_s)])
    connection.execute(
        "DELETE FROM findings WHERE hour < ? OR (hour < ? AND hour % ? != 0)",
        [gone, now - _HOURLY_FINDINGS_S, DAY_S],
    )
    for statement in _OLD:
        connection.execute(statement, [gone])
