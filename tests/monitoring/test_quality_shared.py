"""A history in PostgreSQL keeps of predictions and labels what a file keeps."""

import json
from contextlib import closing

import numpy as np
import pytest
from profile_world import profile_of

from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.monitoring.quality.judging import judge_quality
from podium.monitoring.quality.watching import QualityTerms, QualityWatch
from podium.monitoring.store import quality as kept
from podium.monitoring.store import quality_writing as written
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.remembered import Labelled, Remembered

NOON = 1_800_000_000 - 1_800_000_000 % DAY_S + DAY_S // 2
KEY = VersionKey("fraud", "7")
VALUES = np.arange(200) % 2
PROFILE = profile_of({"amount": np.arange(200.0)}, value=VALUES, score=VALUES * 0.5 + 0.2, is_classifier=True)
DAY = Span(NOON - DAY_S // 2, NOON + DAY_S // 2)


def lived_through(history):
    """A day of a monitor, and what is known after it."""
    watch = QualityWatch(history, QualityTerms(most_predictions=30))
    with history.writing() as connection:
        writing.see_version(connection, KEY, "Production", PROFILE, NOON)
    for number in range(20):
        now = NOON + 600.0 * number
        body = json.dumps({"predictions": [[0.7, 0.3], [0.2, 0.8]]}).encode()
        records = [
            Labelled(now - 5, f"asked-{number}", "fraud", 1, json.dumps(number % 3 != 0)),
            Remembered(now, f"asked-{number}", "fraud", "7", "stable", "/invocations", "application/json", body),
            Labelled(now + 5, f"asked-{number}", "fraud", None, json.dumps([number % 4 == 0, number % 5 == 0])),
            Labelled(now + 5, f"ghost-{number}", "fraud", None, json.dumps("who\0knows")),
            Labelled(now + 9, f"asked-{number - 1}", "fraud", 0, json.dumps(1), 2.5),
            Labelled(now + 9, f"asked-{number - 1}", "fraud", 5, json.dumps(1)),
        ]
        with history.writing() as connection:
            watch.write_down(connection, records, now)
        with history.writing() as connection:
            watch.write_down(connection, records[:3], now)
        watch.turn(now, [KEY])
    with history.writing() as connection:
        erased = [written.erase_request(connection, name) for name in ("asked-18", "asked-1")]
    with history.reading() as connection:
        rows = [kept.predictions_of(connection, f"asked-{number}") for number in range(20)]
        points = kept.quality_of(connection, KEY, DAY, HOUR_S)
        reports = kept.labels_of(connection, VersionKey("fraud", ""), DAY)[""]
        return (
            erased,
            rows,
            points,
            reports,
            kept.kept_task(connection, KEY),
            judge_quality(connection, KEY, NOON + DAY_S / 2),
        )


@pytest.mark.slow
def test_both_histories_come_to_the_same(address, tmp_path):
    in_a_file = lived_through(MonitorStore(tmp_path / "monitor.db"))

    with closing(PostgresqlHistory(address, 60.0)) as history:
        shared = lived_through(history)

    assert shared == in_a_file
    erased, rows, points, reports, task, judged = in_a_file
    assert erased[0] == 2
    assert 0 < sum(map(len, rows)) <= 30
    assert sum(each.tally.rows for each in points) == 40
    assert (reports.invalid, task.observed.rows) == (19, 40)
    assert reports.unmatched > 10
    assert judged.guess.positive == "1"
