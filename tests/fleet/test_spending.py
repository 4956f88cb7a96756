"""What each version uses is counted once, by whoever looks now and then; and read back from what a server shows."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from podium.api.costing import prices_in, spent_in
from podium.domain.devices import DeviceUse
from podium.errors import InvalidInput
from podium.fleet.capacity.spending import Spending
from podium.fleet.host.machine import cpu_seconds
from podium.fleet.telling.series import SeriesBook
from podium.telemetry.exposition import expose, series_families
from podium.telemetry.metrics import CPU_TIME, GPU_TIME, MEMORY_TIME, REQUESTS, ROWS, SERIES_METRICS
from podium.telemetry.slots import Slots, create_slots


@dataclass
class Worker:
    """One that computes as the test says."""

    id: int
    version: str
    pid: int | None = 1
    rss_bytes: int = 0
    device: DeviceUse | None = None
    endpoint: str = "iris"


@dataclass
class Crew:
    """The workers there are now."""

    replicas: dict[int, Worker] = field(default_factory=dict)


@dataclass
class Site:
    """An endpoint."""

    crew: Crew


@pytest.fixture
def series() -> Iterator[SeriesBook]:
    descriptor = create_slots(2)
    slots = Slots(descriptor)
    yield SeriesBook(slots)
    slots.close()
    os.close(descriptor)


def spending_of(series: SeriesBook, crew: Crew, cpu_s: Callable[[int], float]) -> Spending:
    """Of one endpoint; its looks take no time, so that none is put off."""
    return Spending(series, {"iris": Site(crew)}, cpu_s, lambda: 0.0)


def spent(series: SeriesBook, version: str) -> tuple[float, float, float]:
    """Seconds of processors, bytes times seconds, seconds of GPUs."""
    cells = series.slots.totals(series.index(("iris", version)))
    return tuple(cells[each.offset] / each.scale for each in (CPU_TIME, MEMORY_TIME, GPU_TIME))  # type: ignore[return-value]


def test_each_version_is_charged_for_what_its_workers_used_between_two_looks(series: SeriesBook) -> None:
    used = {1: 0.5, 2: 0.25}
    crew = Crew({1: Worker(1, "1", 1, 1000), 2: Worker(2, "2", 2, 500)})
    series.index(("iris", "1"))
    series.index(("iris", "2"))
    spending = spending_of(series, crew, used.__getitem__)
    spending.keep_house(0.0)
    used.update({1: 2.0, 2: 0.25})

    spending.keep_house(10.0)

    assert (spent(series, "1"), spent(series, "2")) == ((2.0, 10_000.0, 0.0), (0.25, 5_000.0, 0.0))


def test_what_a_version_used_while_it_loaded_is_charged_once_it_is_counted_at_all(series: SeriesBook) -> None:
    used = {1: 3.0}
    spending = spending_of(series, Crew({1: Worker(1, "1")}), used.__getitem__)
    spending.keep_house(0.0)
    series.index(("iris", "1"))

    spending.keep_house(10.0)

    assert spent(series, "1")[0] == 3.0


def test_workers_that_share_a_gpu_share_its_time(series: SeriesBook) -> None:
    gpu = DeviceUse("cuda:0", "H100", 1, 2)
    crew = Crew(
        {1: Worker(1, "1", 1, device=gpu), 2: Worker(2, "2", 2, device=gpu), 3: Worker(3, "2", 3, device=DeviceUse())}
    )
    for version in ("1", "2"):
        series.index(("iris", version))
    spending = spending_of(series, crew, lambda _: 0.0)
    spending.keep_house(0.0)

    spending.keep_house(10.0)

    assert (spent(series, "1")[2], spent(series, "2")[2]) == (5.0, 5.0)


def test_a_worker_that_ended_is_not_charged_again_and_one_in_its_place_from_its_start(series: SeriesBook) -> None:
    crew = Crew({1: Worker(1, "1")})
    series.index(("iris", "1"))
    used = {1: 5.0}
    spending = spending_of(series, crew, used.__getitem__)
    spending.keep_house(0.0)
    crew.replicas = {2: Worker(2, "1")}
    used[1] = 1.0  # the same pid, another process

    spending.keep_house(10.0)

    assert spent(series, "1")[0] == 6.0


def test_a_suspended_machine_held_nothing(series: SeriesBook) -> None:
    series.index(("iris", "1"))
    spending = spending_of(series, Crew({1: Worker(1, "1", 1, 1)}), lambda _: 0.0)
    spending.keep_house(0.0)

    spending.keep_house(100_000.0)

    assert spent(series, "1")[1] == 60.0


def test_a_process_has_computed_what_it_and_its_children_did() -> None:
    """A child that was waited for counts, and one that still runs."""
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    script = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\nprint(flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        computed = cpu_seconds(process.pid)

        process.communicate()
    assert computed >= 0.2
    assert cpu_seconds(process.pid) == 0.0


def test_what_a_server_shows_is_read_back(series: SeriesBook) -> None:
    index = series.index(("iris", "1"))
    block = series.slots.block(0, index)
    block[CPU_TIME.offset], block[MEMORY_TIME.offset], block[ROWS.offset] = 2_500_000, 1 << 40, 7
    block[REQUESTS.cell("200")], block[REQUESTS.cell("400")] = 3, 4
    labels = {"model": 'a"b\\c\nd', "version": "1"}

    (found,) = spent_in(expose(series_families(SERIES_METRICS, [(labels, series.slots.totals(index))])).decode())

    assert (found.model, found.cpu_s, found.memory_byte_s, found.requests, found.rows) == (
        labels["model"],
        2.5,
        2**40,
        7,
        7,
    )


@pytest.mark.parametrize("content", [b"cpu_hour = ", b"\xff"])
def test_a_file_that_is_none_of_prices_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "prices.toml").write_bytes(content)

    with pytest.raises(InvalidInput, match=r"prices\.toml cannot be read as TOML"):
        prices_in(tmp_path / "prices.toml")
