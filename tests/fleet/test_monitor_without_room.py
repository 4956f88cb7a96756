"""A full disk and a history that somebody else keeps locked cost no request, are said, and nothing is counted twice."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from profile_world import profile_of
from tinyhouse import House, Load, Server, until

from podium.domain.monitoring.profile import PROFILE_PATH
from podium.domain.monitoring.quality.storing import tally_of

LABELLED = 10
_UNWRITTEN = "podium_monitor_unwritten_seconds"


@pytest.fixture
def small(house: House) -> Iterator[House]:
    """A home on a disk of 24 MiB, where one may be made."""
    house.home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(house.home)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield house
    subprocess.run(["umount", "--lazy", str(house.home)], check=True)


def watched(house: House) -> str:
    """A model of one number with a profile."""
    folder = house.model(1, before_answer="time.sleep(0.02); answers.append(int(row[0])); continue")
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(profile_of({"0": np.arange(1000) % 7}).to_json())
    return str(folder)


def fill(folder: Path) -> Path:
    """Leave no byte on a disk; the file that takes them."""
    filling = folder / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\1" * 65_536):
            pass
    with filling.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\1"):
            pass
    return filling


def monitor_of(house: House) -> int | None:
    found = [pid for pid, command in house.processes().items() if "podium.monitoring" in command]
    return found[0] if found else None


def kill_monitor(house: House) -> None:
    """And wait for the one after it."""
    before = monitor_of(house)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until(lambda: monitor_of(house) not in {None, before}, "another monitor is there")


def unwritten_s(server: Server) -> float:
    """What `/metrics` says; 0 where it says nothing of it."""
    lines = [line for line in server.get("/metrics")[1].splitlines() if line.startswith(_UNWRITTEN)]
    return float(lines[0].split()[-1]) if lines else 0.0


def labelled(server: Server) -> set[str]:
    """Some requests, each of which is labelled at once."""
    names = {server.score().request_id for _ in range(LABELLED)}
    (model,) = server.status["endpoints"]
    status, text = server.send("POST", f"/models/{model}/feedback", [{"request_id": name, "label": 0} for name in names])
    assert status == 200, text
    assert {item["result"] for item in json.loads(text)["items"]} == {"matched"}, text
    return names


def labels(house: House) -> tuple[list[str], int]:
    """Whose labels are there, joined or waiting for their predictions, and how many came twice."""
    with closing(sqlite3.connect(house.home / "monitor.db")) as connection:
        joined = connection.execute("SELECT request_id FROM predictions WHERE label IS NOT NULL").fetchall()
        waiting = connection.execute("SELECT request_id FROM parked_labels").fetchall()
        tallies = connection.execute("SELECT labels FROM quality WHERE length_s = 3600").fetchall()
    repeated = sum(tally_of(json.loads(text)).duplicate for (text,) in tallies)
    return sorted(name for (name,) in [*joined, *waiting]), repeated


def is_locked(connection: sqlite3.Connection) -> bool:
    """Whether nobody else writes from now on."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("BEGIN EXCLUSIVE")
    return connection.in_transaction


def sums(house: House) -> tuple[int, int, int]:
    """Requests, and rows that were counted or dropped, in minutes and in hours."""
    with closing(sqlite3.connect(house.home / "monitor.db")) as connection:
        [minutes], [hours], [rows] = (
            connection.execute(f"SELECT sum({what}) FROM {table} WHERE length_s = {length_s}").fetchone()
            for what, table, length_s in (
                ("requests", "traffic", 60), ("requests", "traffic", 3600), ("rows + dropped", "windows", 300),
            )
        )  # fmt: skip
    return minutes, hours, rows


def said(house: House) -> str:
    """By the monitor, in its log."""
    return "".join(each.read_text(errors="replace") for each in house.home.glob("logs/*/monitor.log"))


def under_load(house: House, begin: Callable[[], Callable[[], object]]) -> Load:
    """Served while a new monitor cannot write for a while: `begin` sees to that, and what it returns ends it."""
    with house.serving(uri=watched(house)) as server:
        until((house.home / "monitor.db").exists, "something is written")
        with Load(server) as load:
            end = begin()
            kill_monitor(house)
            until(lambda: unwritten_s(server) > 0, "it is said")
            load.labelled = labelled(server)
            asked = len(load.answers) + 100
            until(lambda: len(load.answers) >= asked, "it is served meanwhile")
            end()
        assert server.stop() == 0
    return load


@pytest.mark.slow
def test_a_full_disk_costs_no_request_and_what_is_counted_meanwhile_is_there_once(small: House) -> None:
    """The whole home is on it: history, status and logs. What the log had no room for is said afterwards."""
    load = under_load(small, lambda: fill(small.home).unlink)

    assert load.failed == []
    assert sums(small) == (len(load.answers) + LABELLED,) * 3
    assert labels(small) == (sorted(load.labelled), 0)
    assert "can be written again; before: " in said(small)
    assert "the disk is full" in said(small)


@pytest.mark.slow
def test_a_history_that_stays_locked_costs_no_request_and_what_is_counted_meanwhile_is_there_once(house: House) -> None:
    with contextlib.ExitStack() as ends:

        def lock() -> Callable[[], object]:
            other = ends.enter_context(closing(sqlite3.connect(house.home / "monitor.db", isolation_level=None)))
            until(lambda: is_locked(other), "it is locked")
            return lambda: other.execute("ROLLBACK")

        load = under_load(house, lock)

    assert load.failed == []
    assert sums(house) == (len(load.answers) + LABELLED,) * 3
    assert labels(house) == (sorted(load.labelled), 0)
    assert "is locked: another process is writing" in said(house)
    assert "can be written again; before: " in said(house)
