"""Columns together, from a worker's sums to what the monitor writes down, tells and is asked for."""

from dataclasses import replace

import numpy as np
import pytest
from profile_world import profile_of

from podium.api.reporting import monitor_report
from podium.domain.monitoring.alerting.judging import Condition
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.findings import Role
from podium.domain.monitoring.multivariate import fitted
from podium.domain.monitoring.reconstruction import encoded
from podium.domain.monitoring.windows import HOUR_S, SLOT_S, Span
from podium.monitoring.gauges import gauges_of
from podium.monitoring.judged_values import VersionValues, judged
from podium.monitoring.store import reading, writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import Counted, VersionKey
from podium.monitoring.traffic_lines import TrafficLines
from podium.monitoring.watching import judge_version
from podium.settings.alerts import AlertSettings
from podium.settings.home import Home

KEY = VersionKey("fraud", "7")
NOON = 1_799_971_200 + 43_200
DRAW = np.random.default_rng(23)


def drawn(rows, is_torn=False):
    source = DRAW.normal(size=(rows, 1))
    values = source + 0.5 * DRAW.normal(size=(rows, 4))
    if is_torn:
        values[:, 0] = DRAW.permutation(values[:, 0])
    return dict(zip("abcd", values.T, strict=True))


def made():
    columns = drawn(4000)
    profile = profile_of(columns)
    return replace(profile, multivariate=fitted(list("abcd"), encoded(profile.columns, list("abcd"), columns)))


PROFILE = made()


def counted(rows, is_torn):
    counter = BatchCounter(Layout(PROFILE))
    columns = drawn(rows, is_torn)
    for start in range(0, rows, 800):
        counter.add(800, {name: values[start : start + 800] for name, values in columns.items()}, {})
    return counter.counts()


class Hours:
    """Hours that go by, each judged when it is over."""

    def __init__(self, home):
        self.store, self.now = MonitorStore(home.monitor), NOON

    def go_by(self, is_torn):
        with self.store.writing() as connection:
            for start in range(self.now, self.now + HOUR_S, SLOT_S):
                writing.add_window(connection, KEY, start, Counted(counted(800, is_torn)))
            writing.see_version(connection, KEY, "", PROFILE, self.now)
            self.now += HOUR_S
            found = judge_version(connection, KEY, PROFILE, self.now - 1, HOUR_S)
        assert found is not None
        return found


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_sums_are_kept_with_the_counts_and_added_up(home):
    """Of both lengths; windows that were written before there were sums have none."""
    store, first, second = MonitorStore(home.monitor), counted(800, False), counted(800, True)
    before = replace(first, together=type(first.together)())
    with store.writing() as connection:
        for start, counts in ((NOON, first), (NOON, second), (NOON + SLOT_S, before)):
            writing.add_window(connection, KEY, start, Counted(counts))
        (all_of_it,) = reading.data(connection, KEY, PROFILE.profile_id, Span(NOON, NOON + HOUR_S))
        slots = reading.data(connection, KEY, PROFILE.profile_id, Span(NOON, NOON + 2 * SLOT_S), SLOT_S)

    assert all_of_it.window.counts == first + second + before
    assert [each.window.counts.together.rows for each in slots] == [2 * 200, 0]


def test_columns_that_are_torn_apart_are_told_stand_and_are_over(home):
    """Two hours each; no column by itself ever is anything."""
    hours = Hours(home)
    seen = [hours.go_by(is_torn) for is_torn in (False, True, True, False, False)]

    shown = [{each["name"]: each for each in gauges_of(each)} for each in seen]
    assert [each["podium_multivariate_drift_alert"]["value"] for each in shown] == [0, 0, 1, 1, 0]
    score = shown[2]["podium_multivariate_drift_score"]
    assert score["labels"] == {"model": "fraud", "version": "7", "method": "pca"}
    assert score["value"] > shown[2]["podium_multivariate_drift_threshold"]["value"]
    assert {each["podium_drifted_columns"]["value"] for each in shown} == {0}
    assert {each["podium_monitored_columns"]["value"] for each in shown} == {4}


def test_the_rule_asks_whether_it_stands(home):
    hours = Hours(home)
    facts = []
    for is_torn in (True, True):
        hours.go_by(is_torn)
        with hours.store.reading() as connection:
            values = VersionValues(KEY, findings=reading.latest_findings(connection, KEY))
        found = judged([values], AlertSettings(), TrafficLines(), {}, None, hours.now)
        facts.append(next(each for each in found.facts if each.rule.name == "drift-together"))

    assert [each.condition for each in facts] == [Condition.GOOD, Condition.BAD]
    assert dict(facts[1].labels) == {"model": "fraud", "version": "7"}
    assert facts[1].sentence.startswith("All columns together, ")
    assert "drift by pca" in facts[1].sentence


def test_the_report_has_it_apart_from_the_columns(home):
    hours = Hours(home)
    for is_torn in (True, True):
        hours.go_by(is_torn)

    (version,) = monitor_report("fraud", home=home, clock=lambda: hours.now)["versions"]

    together = version["together"]
    assert (together["method"], together["verdict"], together["is_standing"]) == ("pca", "alert", True)
    assert together["since"] == "2027-01-15T12:00:00Z"
    assert together["score"] > together["alert"] > together["usual"]
    assert {column["name"] for column in version["columns"]} == set("abcd")
    assert version["drift"]["alerts"] == [{"name": "pca", "role": Role.TOGETHER.value, "check": "drift"}]
