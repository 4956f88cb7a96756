"""What the monitor writes of quality; each function is called within one transaction of `MonitorStore.writing`."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from podium.domain.monitoring.quality.storing import as_json
from podium.domain.monitoring.quality.tallies import LabelTally
from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.quality import KeptPrediction, KeptTask, ParkedLabel, QualityPoint
from podium.monitoring.store.writing import VersionKey

PARKED_S = HOUR_S
MOST_PARKED = 50_000
SHORT_KEPT_S = 2 * DAY_S

_OF_REQUEST = (
    ("SELECT count(*) FROM predictions WHERE request_id = ?", "DELETE FROM predictions WHERE request_id = ?"),
    ("SELECT count(*) FROM parked_labels WHERE request_id = ?", "DELETE FROM parked_labels WHERE request_id = ?"),
)


def put_predictions(connection: StoreConnection, rows: Iterable[KeptPrediction]) -> None:
    """Keep rows of answers that are not kept yet."""
    connection.executemany(
        "INSERT INTO predictions (request_id, model, version, place, rows, variant, at, prediction, score, label, "
        "labelled_at, weight, chances) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            [
                each.request_id, each.key.model, each.key.version, each.place, each.rows, each.variant, each.at,
                json.dumps(each.prediction), each.score, _text(each.label), each.labelled_at, each.weight,
                _text(each.chances),
            ]
            for each in rows
        ],
    )  # fmt: skip


def put_labels(connection: StoreConnection, rows: Iterable[KeptPrediction]) -> None:
    """Keep what was true of rows that are kept."""
    connection.executemany(
        "UPDATE predictions SET label = ?, labelled_at = ?, weight = ? WHERE request_id = ? AND model = ? AND place = ?",
        [
            [_text(each.label), each.labelled_at, each.weight, each.request_id, each.key.model, each.place]
            for each in rows
        ],
    )  # fmt: skip


def park(connection: StoreConnection, model: str, request_id: str, label: ParkedLabel) -> None:
    """Let a label wait for its prediction, in place of the one that waited."""
    connection.execute(
        "INSERT INTO parked_labels (request_id, model, place, rows, at, label, weight, corrected, duplicate) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id, model, place, rows) DO UPDATE SET "
        "at = excluded.at, label = excluded.label, weight = excluded.weight, corrected = excluded.corrected, "
        "duplicate = excluded.duplicate",
        [
            request_id, model, label.place, label.rows, label.at, _text(label.label), label.weight, label.corrected,
            label.duplicate,
        ],
    )  # fmt: skip


def unpark(connection: StoreConnection, model: str, request_id: str) -> None:
    """Its labels wait no longer."""
    connection.execute("DELETE FROM parked_labels WHERE request_id = ? AND model = ?", [request_id, model])


def put_point(connection: StoreConnection, key: VersionKey, point: QualityPoint) -> None:
    """What is known of a stretch now, in place of what was."""
    connection.execute(
        "INSERT INTO quality (model, version, variant, length_s, start, tally, labels) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model, version, variant, length_s, start) DO UPDATE SET "
        "tally = excluded.tally, labels = excluded.labels",
        [
            key.model, key.version, point.variant, point.length_s, point.start,
            None if point.tally is None else _json(as_json(point.tally)), _json(as_json(point.labels)),
        ],
    )  # fmt: skip


def forget_tallies(connection: StoreConnection, key: VersionKey) -> None:
    """Before they are worked out again."""
    connection.execute("UPDATE quality SET tally = NULL WHERE model = ? AND version = ?", [key.model, key.version])


def put_task(connection: StoreConnection, key: VersionKey, task: KeptTask) -> None:
    """Keep what is known of a version's task."""
    chosen = None if task.chosen is None else _json(asdict(task.chosen))
    connection.execute(
        "INSERT INTO quality_tasks (model, version, observed, chosen, looked_at, last_label_at, unreadable, why) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model, version) DO UPDATE SET observed = excluded.observed, "
        "chosen = excluded.chosen, looked_at = excluded.looked_at, last_label_at = excluded.last_label_at, "
        "unreadable = excluded.unreadable, why = excluded.why",
        [
            key.model, key.version, _json(asdict(task.observed)), chosen, task.looked_at, task.last_label_at,
            task.unreadable, task.why,
        ],
    )  # fmt: skip


def erase_request(connection: StoreConnection, request_id: str) -> int:
    """Forget a request's predictions and labels; how many rows. What was counted of them stays counted."""
    found = 0
    for count, forget in _OF_REQUEST:
        found += int(connection.execute(count, [request_id]).fetchone()[0])
        connection.execute(forget, [request_id])
    return found


def forget_predictions(connection: StoreConnection, now: float, kept_s: float, most: int) -> None:
    """Give up predictions that are too old, and the oldest of what is too much."""
    connection.execute("DELETE FROM predictions WHERE at < ?", [now - kept_s])
    (count,) = connection.execute("SELECT count(*) FROM predictions").fetchone()
    if count > most:
        (last,) = connection.execute(
            "SELECT at FROM predictions ORDER BY at LIMIT 1 OFFSET ?", [count - most - 1]
        ).fetchone()
        connection.execute("DELETE FROM predictions WHERE at <= ?", [last])


def forget_parked(connection: StoreConnection, now: float) -> dict[str, LabelTally]:
    """Give up labels that waited for too long; by model what became of them."""
    (count,) = connection.execute("SELECT count(*) FROM parked_labels").fetchone()
    before = now - PARKED_S
    if count > MOST_PARKED:
        (last,) = connection.execute(
            "SELECT at FROM parked_labels ORDER BY at LIMIT 1 OFFSET ?", [count - MOST_PARKED]
        ).fetchone()
        # Many may have come at one time.
        before = max(before, last + 1e-6)
    rows = connection.execute(
        "SELECT model, count(*), sum(corrected), sum(duplicate) FROM parked_labels WHERE at < ? GROUP BY model", [before]
    ).fetchall()
    connection.execute("DELETE FROM parked_labels WHERE at < ?", [before])
    return {
        model: LabelTally(unmatched=int(gone + corrected), duplicate=int(duplicate))
        for model, gone, corrected, duplicate in rows
    }


def forget_quality(connection: StoreConnection, now: int, retention_s: int) -> None:
    """Give up tallies that are too old, and what is known of versions that nobody has served for so long."""
    gone = now - retention_s
    connection.execute(
        "DELETE FROM quality WHERE start < ? OR (length_s < ? AND start < ?)", [gone, HOUR_S, max(gone, now - SHORT_KEPT_S)]
    )
    connection.execute(
        "DELETE FROM quality_tasks WHERE NOT EXISTS (SELECT 1 FROM quality WHERE quality.model = quality_tasks.model "
        "AND quality.version = quality_tasks.version)"
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(value: Any) -> str | None:
    return None if value is None else _json(value)
