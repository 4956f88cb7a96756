"""What is said, kept and judged of versions becomes the values that alerts are made of."""

import pytest
from alerting_world import KEY, NOON, WAIT_S, World

from podium.domain.monitoring.windows import DAY_S
from podium.monitoring.store import writing

FACTS = {
    "model": "fraud", "version": "7", "stage": "Production", "weight": 100, "is_asleep": False,
    "digest": "d", "findings": {"high": 0}, "saved_at": "2026-01-01 00:00:00.5", "newer": None,
}  # fmt: skip


@pytest.fixture
def monitor(tmp_path):
    made = World(tmp_path)
    served(made)
    yield made
    made.alerting.close(WAIT_S)


def turned(monitor, seconds=30, **changes):
    monitor.now += seconds
    return monitor.alerting.turn(monitor.now, [{**FACTS, **changes}], {})


def clocks(gauges):
    named = [each for each in gauges if each["name"] == "podium_clock_started_timestamp_seconds"]
    return {each["labels"]["clock"]: each["value"] for each in named}


def served(monitor):
    with monitor.store.writing() as connection:
        writing.see_version(connection, KEY, "Production", None, NOON)


def test_a_version_is_as_old_as_its_file_says_and_here_since_it_was_seen_first(monitor):
    """Times without a zone are in UTC."""
    found = clocks(turned(monitor))

    assert found["model"] == pytest.approx(1_767_225_600.5)
    assert found["traffic"] == NOON
    assert "superseded" not in found


def test_how_long_a_newer_version_waits_outlives_the_monitor(monitor):
    """Until it is served, or another one waits."""
    first = clocks(turned(monitor, newer="8"))["superseded"]
    monitor.restart()
    later = clocks(turned(monitor, 8 * DAY_S, newer="8"))["superseded"]
    other = clocks(turned(monitor, newer="9"))["superseded"]
    over = clocks(turned(monitor))

    assert later == first == NOON + 30
    assert other == monitor.now - 30
    assert "superseded" not in over


@pytest.mark.parametrize("changes", [{"is_asleep": True}, {"weight": 0}], ids=["asleep", "without traffic"])
def test_nobody_expects_requests_of_a_version_that_gets_none(monitor, changes):
    """Its clock of traffic stands still."""
    assert "traffic" in clocks(turned(monitor))

    assert "traffic" not in clocks(turned(monitor, **changes))


@pytest.mark.parametrize("saved_at", [None, "", "yesterday", 7])
def test_a_time_that_is_none_is_not_known(monitor, saved_at):
    """A model of anybody's may say anything."""

    assert "model" not in clocks(turned(monitor, saved_at=saved_at))
