"""A day of production with its noise and its seasons: each fault is told once, by its name, and once when it is over."""

import json
import os
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from production import MIDNIGHT, Faults, Production, trained
from receivers import receiving

from podium.domain.monitoring.alerting.alerts import AlertState
from podium.domain.monitoring.windows import DAY_S, Span
from podium.monitoring.store import alerts as kept
from podium.monitoring.store import reading
from podium.monitoring.store.writing import VersionKey

KEY = VersionKey("fraud", "7")
FAULTS = {
    ("drift-column", "amount"),
    ("column-unseen", "city"),
    ("column-out-of-range", "balance"),
    ("column-missing", "age"),
    ("latency-budget-fast", None),
    ("environment", None),
}


@pytest.fixture
def folder(tmp_path):
    """In memory where that is possible: hundreds of transactions wait for a disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def profile():
    return trained(np.random.default_rng(3))


def alerts(url):
    return {
        "objectives": {"latency": 0.99, "latency_threshold": "250ms"},
        "channels": {"oncall": {"kind": "webhook", "url": url}},
    }


def told_by(box, count):
    """What the receiver heard: (news, rule, column), in order."""
    heard = []
    while len(heard) < count:
        told = json.loads(box.next()[2])["alerts"]
        heard += [(each["news"], each["rule"], each["labels"].get("column")) for each in told]
    return heard


@pytest.mark.slow
def test_a_day_of_faults_is_told_fault_by_fault_and_nothing_else(folder, profile):
    """Six faults that overlap, each mended; in the night and at noon nothing is taken for one. The monitor dies twice."""
    with receiving() as box, closing(Production(folder, alerts(box.url), profile)) as day:
        day.until(4)
        day.faults.drift = 1.0
        day.until(5)
        day.faults.category = "Atlantis"
        day.restart()
        day.until(6)
        day.faults.has_outliers = True
        day.until(7)
        day.faults.is_upstream_dead = True
        day.until(9)
        day.faults.findings = {"high": 1}
        day.until(10)
        day.faults = Faults(slow=0.3)
        day.restart()
        day.until(11)
        day.faults = Faults()
        day.until(24)
        with day.store.reading() as connection:
            deliveries = kept.deliveries_of(connection)
            turns = kept.turns_of(connection)
            span = Span(MIDNIGHT, MIDNIGHT + DAY_S)
            (data,) = reading.data(connection, KEY, profile.profile_id, span)
            (traffic,) = reading.traffic(connection, KEY, span, DAY_S)
        heard = told_by(box, sum(len(each.notification.items) for each in deliveries))
        rows, log = day.rows, day.log

    begun = [(rule, column) for news, rule, column in heard if news == "firing"]
    ended = [(rule, column) for news, rule, column in heard if news == "resolved"]
    assert sorted(begun, key=str) == sorted(FAULTS, key=str)
    assert sorted(ended, key=str) == sorted(FAULTS, key=str)
    # Nobody is told of what follows from something that is told.
    fired = [(each.alert.rule, dict(each.alert.labels).get("column")) for each in turns if each.after is AlertState.FIRING]
    assert sorted({*fired} - FAULTS) == [("drift-column", "city"), ("latency-budget-medium", None)]
    assert len(fired) == len(FAULTS) + 2
    assert (data.window.rows, data.dropped, traffic.traffic.requests) == (rows, 0, rows)
    assert box.sent.empty()
    assert log == []
