"""A server counts every row that it answers, through the deaths of whoever answers and of whoever counts."""

import json
import os
import signal
import sqlite3
from contextlib import closing

import numpy as np
from profile_world import profile_of
from tinyhouse import House, Server, until

from podium.domain.monitoring.profile import PROFILE_PATH

ROWS = 40


def watched(house: House) -> str:
    """A model of one number with a profile."""
    folder = house.model(1)
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(profile_of({"0": np.arange(1000) % 7}).to_json())
    return str(folder)


def ask(server: Server) -> None:
    """One request of many rows that take no time."""
    status, text = server.send("POST", "/invocations", {"inputs": [[0]] * ROWS})
    assert status == 200, text


def monitor_of(house: House) -> int | None:
    found = [pid for pid, command in house.processes().items() if "podium.monitoring" in command]
    return found[0] if found else None


def has_looked(monitor: int | None) -> bool:
    """Whether it has been handed the memory that rows are counted in."""
    try:
        folder = f"/proc/{monitor}/fd"
        return any("podium-slab" in os.readlink(f"{folder}/{name}") for name in os.listdir(folder))
    except OSError:
        return False


def sums(house: House) -> dict[str, tuple[int, ...]]:
    with closing(sqlite3.connect(house.home / "monitor.db")) as connection:
        traffic = "SELECT sum(requests), sum(rows), sum(server_errors) FROM traffic WHERE length_s = 3600"
        windows = "SELECT sum(rows), sum(dropped), sum(rows + dropped) FROM windows WHERE length_s = 300"
        return {"traffic": connection.execute(traffic).fetchone(), "data": connection.execute(windows).fetchone()}


def test_every_row_is_counted_once_through_kills_of_workers_and_monitors(house: House) -> None:
    with house.serving(uri=watched(house)) as server:
        until(lambda: monitor_of(house) is not None, "a monitor is there")
        for kill in (server.workers, lambda: [monitor_of(house)], server.workers, list):
            for _ in range(5):
                ask(server)
            for pid in kill():
                os.kill(pid, signal.SIGKILL)
            until(lambda: len(server.workers()) == 1 and server.get("/readyz")[0] == 200, "a worker serves again")
        until(lambda: has_looked(monitor_of(house)), "a monitor is there again")
        status = json.loads(server.get("/status")[1])
        assert server.stop() == 0

    found = sums(house)
    assert status["restarts"]["workers"] == 2
    assert found["traffic"] == (20, 20 * ROWS, 0)
    assert found["data"][2] == 20 * ROWS
    assert "the monitor died and is started again" in server.said()
    # Rows that a killed worker had answered a moment before are dropped, and said to be.
    assert found["data"][1] <= 15 * ROWS


def test_a_server_that_is_told_so_has_no_monitor(house: House) -> None:
    with house.serving("--no-monitor", uri=watched(house)) as server:
        ask(server)
        assert server.stop() == 0

    assert not (house.home / "monitor.db").exists()
    assert not list(house.home.glob("logs/*/monitor.log"))
