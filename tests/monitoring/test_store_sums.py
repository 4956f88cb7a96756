"""Sums of many windows, and findings by their key: the same as one by one, and found without reading all others."""

from podium.domain.monitoring.counts import ColumnCounts, ModelCounts
from podium.domain.monitoring.findings import Check, Role
from podium.domain.monitoring.windows import Span
from podium.monitoring.store import reading
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey, sum_counts, written_counts


def counts(number: int) -> ModelCounts:
    column = ColumnCounts((number, 2 * number, 7), number, 1, 0, number % 3, 2)
    return ModelCounts("sha256:a", 3 * number, {"amount": column, "age": column + column}, {"score": column})


def test_the_sum_of_written_counts_is_the_sum_of_counts():
    """Cell by cell, of columns and predictions, and of the rows."""
    every = [counts(number) for number in range(1, 50)]
    total = every[0]
    for each in every[1:]:
        total += each

    assert sum_counts("sha256:a", [written_counts(each) for each in every]) == total


def test_a_columns_findings_are_found_by_their_key(tmp_path):
    """Whatever profiles there were: with 200 columns a look at all of them took seconds."""
    store, key = MonitorStore(tmp_path / "monitor.db"), VersionKey("fraud", "3")
    place = [key.model, key.version, Role.FEATURE.value, "amount", Check.DRIFT.value, 0, 9]
    with store.writing() as connection:
        for query in (reading._SCORES, reading._FINDINGS_OF):
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", place))
            assert "name=? AND check=? AND hour>?" in plan
        assert reading.drift_scores(connection, key, Role.FEATURE, "amount", Span(0, 9)) == []
