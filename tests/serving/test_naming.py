"""Ids that say which version answers: new stamps in time, and none for nothing."""

import os
from dataclasses import dataclass

import pytest

from podium.serving.walks.request_ids import Ids, Naming, RequestIds
from podium.telemetry.slots import Slots, create_slots

WINDOW_S = 1600.0


@dataclass
class Replica:
    endpoint: str = "iris"
    version: str = "1"
    series: int = 3
    ids: Ids | None = None


class World:
    """A clock, counters, and the ids of one gateway."""

    def __init__(self, slots, window_s=WINDOW_S):
        self.now = 1000.0
        self.slots = slots
        self.naming = Naming(slots.served, 0, window_s, lambda: self.now)

    def named(self, **changes):
        replica = Replica(**changes)
        self.naming.name(replica)
        return replica

    def age_of(self, request_id, endpoint="iris"):
        """Seconds; None where nobody knows it."""
        found = self.slots.served.answerer_of(endpoint, request_id, int(self.now * 1000))
        return None if found is None else found.age_ms / 1000


@pytest.fixture
def slots():
    descriptor = create_slots(1)
    made = Slots(descriptor)
    yield made
    made.close()
    os.close(descriptor)


def test_replicas_of_one_version_share_a_stamp_and_no_id(slots):
    world = World(slots)
    first, second, other = world.named(), world.named(), world.named(version="2", series=4)
    ids = [each.ids.new() for each in (first, second, first, other)]

    assert len(set(ids)) == 4
    assert len({each[:16] for each in ids[:3]}) == 1 != len({each[:16] for each in ids})
    assert all(world.age_of(each) is not None for each in ids)


def test_an_id_is_never_much_older_than_it_says(slots):
    """A stamp lasts for a sixteenth of the window; one that nobody used for days is as of now when somebody does."""
    world = World(slots)
    replica = world.named()
    early = replica.ids.new()
    for _ in range(30):
        world.now += WINDOW_S / 16 + 1
        world.naming.sweep([replica])
    late = replica.ids.new()

    assert world.age_of(early) == 30 * (WINDOW_S / 16 + 1)
    assert world.age_of(late) <= WINDOW_S / 16
    world.now += 10 * WINDOW_S
    world.naming.sweep([replica])
    world.naming.sweep([replica])
    assert world.age_of(replica.ids.new()) == 0


def test_a_version_whose_series_was_given_away_begins_anew(slots):
    world = World(slots)
    before = world.named().ids.new()
    slots.clear(3)
    after = world.named().ids.new()

    assert (world.age_of(before), world.age_of(after)) == (None, 0)


def test_what_is_gone_has_no_stamp_any_more(slots):
    world = World(slots)
    replica = world.named()
    replica.ids.new()
    world.now += WINDOW_S
    world.naming.sweep([])

    assert world.named().ids is not replica.ids


def test_without_a_window_nothing_is_remembered(slots):
    world = World(slots, window_s=0)
    replica = world.named()
    world.naming.note_given(replica, "theirs")

    assert type(replica.ids) is RequestIds
    assert (world.age_of(replica.ids.new()), world.age_of("theirs")) == (None, None)
