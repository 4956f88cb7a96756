"""A podium that is always cleaned up, and a server that is seen to stop."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import Podium, Server, Versions
from training import Registered, register


@pytest.fixture
def podium(tmp_path: Path) -> Iterator[Podium]:
    """A home of its own. After each test no process of it runs, and no socket or shared memory of it is left."""
    made = Podium(tmp_path)
    yield made
    left = made.processes()
    made.end()
    assert left == {}
    assert made.leftovers() == []


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """A home with three versions, the first of them promoted by a command: made once, copied for each test."""
    podium = Podium(tmp_path_factory.mktemp("registered"))
    return Registered(podium.home, register(podium))


@pytest.fixture
def versions(podium: Podium, registered: Registered) -> Versions:
    """Three versions, the first of them in Production."""
    return registered.copy(podium)


@pytest.fixture
def server(podium: Podium, versions: Versions) -> Iterator[Server]:
    """Two gateways and two replicas of what is in Production; stopped and seen to stop cleanly, if it still runs."""
    running = podium.serve(versions.uri, "-w", "2", "--gateways", "2")
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0


@pytest.fixture
def seconds() -> float:
    """How long a load lasts at least: PODIUM_TEST_LOAD_SECONDS, or 3. The issue's figure is 60: see benchmarks/README.md.

    Whatever happens under a load happens while it lasts, however long that takes, and the load outlives it.
    """
    return float(os.environ.get("PODIUM_TEST_LOAD_SECONDS", "3"))
