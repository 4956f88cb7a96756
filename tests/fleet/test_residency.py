"""Who is let into memory, beside endpoints that are played by the test."""

import asyncio
from types import SimpleNamespace

import pytest

from podium.fleet.capacity.residency import Residency


class Sleeper:
    """An endpoint that was told to wake, and whose supervisor has not come to starting a worker yet."""

    is_leaving = is_pinned = is_served = is_hopeless = False

    def __init__(self, name):
        self.name, self.is_asleep, self.replicas = name, True, 1
        self.crew = SimpleNamespace(replicas={}, versions={})
        self.order = SimpleNamespace(settings=SimpleNamespace(load_timeout_s=0.05))

    def wake(self):
        self.is_asleep = False


class Bell:
    async def wait(self, _):
        await asyncio.sleep(0)


class Use:
    def last(self, _):
        return 0.0

    def in_flight(self, _):
        return 0


@pytest.fixture
def admitted():
    """Has so many endpoints ask for room at once where so many may be loaded, and says who was let in."""

    def ask(count, most):
        endpoints = {f"m{number}": Sleeper(f"m{number}") for number in range(count)}
        site = SimpleNamespace(
            settings=SimpleNamespace(memory_budget=None, max_resident=most),
            asks=SimpleNamespace(learn=lambda *_: None),
            bell=Bell(),
            memory=lambda: 1 << 40,
            forks=SimpleNamespace(held_bytes=0),
        )
        residency = Residency(Use())
        residency.begin(site, endpoints)

        async def all_at_once():
            return await asyncio.gather(*(residency.admit(endpoint, 2.0) for endpoint in endpoints.values()))

        return [refusal is None for refusal in asyncio.run(all_at_once())]

    return ask


def test_a_place_is_taken_as_soon_as_it_is_promised(admitted):
    """Before the worker exists: what wakes in one moment would all be let in, and stay."""
    assert admitted(4, most=2) == [True, True, False, False]
