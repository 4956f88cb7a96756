"""A model that was logged without a profile is watched by one of its first rows, after a restart, too."""

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tinyhouse import House, Server, until

from podium.domain.monitoring.profile_reading import read_profile

ROWS = 500


def ask(server: Server, times: int) -> None:
    """Requests of many rows that take no time."""
    for _ in range(times):
        status, text = server.send("POST", "/invocations", {"inputs": [[0]] * ROWS})
        assert status == 200, text


def slabs(house: House) -> int:
    """In how many places the monitor sees rows being counted: each worker that counts has one."""
    seen: set[str] = set()
    for pid, command in house.processes().items():
        if "podium.monitoring" in command:
            with contextlib.suppress(OSError):
                places = [os.stat(each) for each in Path(f"/proc/{pid}/fd").iterdir() if is_slab(each)]
                seen |= {f"{place.st_dev}:{place.st_ino}" for place in places}
    return len(seen)


def is_slab(descriptor: Path) -> bool:
    return "podium-slab" in os.readlink(descriptor)


def counted(house: House) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(house.home / "monitor.db")) as connection:
        found = "SELECT profile_id, sum(rows + dropped) FROM windows WHERE length_s = 300 GROUP BY profile_id"
        return connection.execute(found).fetchall()


@pytest.mark.slow
def test_the_first_rows_make_the_profile_that_all_replicas_count_by(house: House) -> None:
    uri = str(house.model(1))
    with house.serving("--workers", "2", uri=uri) as server:
        ask(server, 60)

        def has_profile() -> bool:
            ask(server, 1)  # A worker that has no time to spare leaves rows out.
            return "is watched by a profile of its first rows" in server.said()

        until(has_profile, "the first rows have made a profile")
        until(lambda: slabs(house) == 2, "both count")
        ask(server, 4)
        assert server.stop() == 0

    (path,) = (house.home / "profiles").iterdir()
    profile = read_profile(path.read_bytes())
    assert profile.is_bootstrapped
    assert profile.source.rows >= 10_000
    ((profile_id, first),) = counted(house)
    assert profile_id == profile.profile_id
    assert first > 0

    with house.serving(uri=uri) as server:
        until(lambda: slabs(house) == 1, "it counts by the profile that it had")
        ask(server, 3)
        assert server.stop() == 0

    ((same_id, later),) = counted(house)
    assert same_id == profile_id
    assert first < later <= first + 3 * ROWS
