"""`[alerts]` of podium.toml is taken while the monitor runs: nothing is told twice, and a mistake changes nothing."""

import json
import time
from contextlib import ExitStack

import pytest
from alerting_world import NOON, WAIT_S
from receivers import PATIENT, receiving

from podium.domain.monitoring.alerting.deliveries import DeliveryResult
from podium.monitoring.alerting import alerting_of
from podium.monitoring.store.alerts import deliveries_of
from podium.monitoring.store.database import MonitorStore
from podium.settings.alerts import alerts_from_config

STALE = {"model": "fraud", "version": "7", "stage": "Production", "weight": 100, "findings": {"critical": 1}}
TOML = """
[alerts]
group_wait = 0
[alerts.channels.{name}]
kind = "webhook"
url = "{url}"
[alerts.rules.environment]
keep = 0
enabled = {enabled}
"""


class World:
    """A monitor that tells by a file, by a clock that is set."""

    def __init__(self, folder):
        self.now, self.log, self.path = float(NOON), [], folder / "podium.toml"
        self._store = MonitorStore(folder / "monitor.db", busy_timeout_s=60.0)

    def write(self, name, box, enabled="true"):
        self.path.write_text(TOML.format(name=name, url=box.url, enabled=enabled))

    def begin(self):
        settings, now = alerts_from_config(self.path), float(NOON)
        self.alerting = alerting_of(
            self._store, settings, self.log.append, 1e9, clock=lambda: now, path=self.path, terms=PATIENT
        )
        self.alerting.begin()

    def turn(self, times=3):
        for _ in range(times):
            self.now += 30
            gauges = self.alerting.turn(self.now, [STALE], {})
        return {
            (each["labels"]["channel"], each["labels"]["result"]): each["value"]
            for each in gauges
            if each["name"] == "podium_notifications_total"
        }

    def until_sent(self, count):
        """A receiver has heard it before the channel knows that it has, and has noted it."""
        ends = time.monotonic() + WAIT_S
        while time.monotonic() < ends:
            with self._store.reading() as connection:
                if len(deliveries_of(connection, DeliveryResult.SENT)) >= count:
                    return
            time.sleep(0.01)
        raise AssertionError(f"{count} notifications were not sent")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.alerting.close(WAIT_S)


def told(box):
    return [(each["news"], each["rule"]) for each in json.loads(box.next()[2])["alerts"]]


def test_other_channels_and_rules_hold_from_the_next_look_on(world):
    """What was told is not told again to the new channel, which hears of the end; counters go on."""
    with ExitStack() as stack:
        first, second = stack.enter_context(receiving()), stack.enter_context(receiving())
        world.write("first", first)
        world.begin()
        world.turn()
        begun = told(first)
        world.until_sent(1)
        world.write("second", second)
        world.turn()
        world.write("second", second, enabled="false")
        world.turn()
        ended = told(second)
        world.until_sent(2)
        world.alerting.close(WAIT_S)
        counted = world.turn(1)

        assert (begun, ended) == ([("firing", "environment")], [("resolved", "environment")])
        assert first.sent.empty()
        assert second.sent.empty()
    assert counted == {("first", "sent"): 1, ("second", "sent"): 1}
    assert len([line for line in world.log if "was read again" in line]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[alerts", "is not TOML"),
        ('[alerts.channels.x]\nkind = "pigeon"', "no kind of channel"),
        ("[alerts.objectives]\nlatency = 0.9\nlatency_threshold = 0.0123", "edge"),
        (None, "cannot be read"),
    ],
    ids=["no TOML", "no such channel", "no such edge", "gone"],
)
def test_a_mistake_changes_nothing_and_is_said_once(world, text, said):
    with receiving() as box:
        world.write("first", box)
        world.begin()
        if text is None:
            world.path.unlink()
        else:
            world.path.write_text(text)
        world.turn()

        assert told(box) == [("firing", "environment")]
    assert len([line for line in world.log if said in line]) == 1, world.log
    assert len(world.log) == 1
