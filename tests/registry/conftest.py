import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from podium.artifacts.local import LocalArtifacts
from podium.registry.service import RegistryService
from podium.registry.sqlite import SqliteStore
from podium.settings.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


@pytest.fixture
def clock() -> Callable[[], int]:
    """A millisecond later at each question, from a time that is easy to read."""
    times: Iterator[int] = iter(range(1_000, 1_000_000))
    return lambda: next(times)


@pytest.fixture
def artifacts(home: Home) -> LocalArtifacts:
    return LocalArtifacts(home.artifacts)


@pytest.fixture
def service(home: Home, artifacts: LocalArtifacts, clock: Callable[[], int]) -> RegistryService:
    return RegistryService(SqliteStore(home.registry, "ann@desk/1", clock), artifacts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "some-model"
    path.mkdir()
    (path / "MLmodel").write_text("flavors: {}\n")
    return path


@pytest.fixture
def fraud(service: RegistryService, folder: Path) -> RegistryService:
    """Three versions of `fraud`, none in a stage."""
    for number in (1, 2, 3):
        (folder / "number").write_text(str(number))
        assert service.register(folder, "fraud").version == number
    return service


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition, at most two minutes."""

    def wait(is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not is_true():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.001)

    return wait
