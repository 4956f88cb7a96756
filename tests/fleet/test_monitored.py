"""A server counts every row that it answers, through the deaths of whoever answers and of whoever counts."""

import json
import os
import random
import signal
import sqlite3
from contextlib import closing, suppress

import numpy as np
import pytest
from profile_world import profile_of
from receivers import hanging
from tinyhouse import House, Load, Server, until

from podium.domain.monitoring.profile import PROFILE_PATH

ROWS = 40
TOML = """
[alerts]
group_wait = 0

[alerts.channels.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/"

[alerts.clocks.profile]
warn = "1s"
alert = "1s"
"""


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


def is_locked(connection: sqlite3.Connection) -> bool:
    """Whether nobody else writes from now on."""
    with suppress(sqlite3.OperationalError):
        if not connection.in_transaction:
            connection.execute("BEGIN EXCLUSIVE")
    return connection.in_transaction


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
            killed = set(kill())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            # Until its death is seen, a dead worker stands in the status as if it served.
            until(lambda killed=killed: len(set(server.workers()) - killed) == 1, "a worker serves again")
            until(lambda: server.get("/readyz")[0] == 200, "requests go to it")
        until(lambda: has_looked(monitor_of(house)), "a monitor is there again")
        until(lambda: json.loads(server.get("/status")[1])["restarts"]["workers"] >= 2, "both deaths are told")
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


@pytest.mark.slow
def test_a_monitor_that_is_killed_locked_out_and_held_up_costs_no_request(house: House) -> None:
    """Killed three times at any moment; its database locked by somebody else; and who is told of alerts says nothing."""
    moments = random.Random(5)
    with hanging() as port:
        (house.folder / "podium.toml").write_text(TOML.format(port=port))
        with house.serving("--gateways", "2", uri=watched(house)) as server:
            with Load(server, milliseconds=5) as load:
                until((house.home / "monitor.db").exists, "something is written")
                with closing(sqlite3.connect(house.home / "monitor.db", isolation_level=None)) as other:
                    for _ in range(3):
                        until(lambda: has_looked(monitor_of(house)), "a monitor looks")
                        asked = len(load.answers) + moments.randrange(1, 60)
                        until(lambda asked=asked: len(load.answers) >= asked, "some more are asked")
                        monitor = monitor_of(house)
                        os.kill(monitor, signal.SIGKILL)
                        until(lambda monitor=monitor: monitor_of(house) not in {None, monitor}, "another one is there")
                        until(lambda: is_locked(other), "nobody else writes")
                    asked = len(load.answers) + 50
                    until(lambda: len(load.answers) >= asked, "it is served while the database is locked")
                    other.execute("ROLLBACK")
            until(lambda: has_looked(monitor_of(house)), "a monitor looks again")
            restarts = server.said().count("the monitor died and is started again")
            assert server.stop() == 0

    found = sums(house)
    assert (load.failed, restarts) == ([], 3)
    assert found["traffic"][0] == len(load.answers)
    assert found["data"][2] == len(load.answers)


@pytest.mark.slow
def test_a_history_that_is_damaged_and_then_removed_costs_no_request_and_is_said(house: House) -> None:
    """What was counted meanwhile stands in the new one."""
    with house.serving(uri=watched(house)) as server:
        history = house.home / "monitor.db"
        with Load(server) as load:
            until(history.exists, "something is written")
            until(lambda: has_looked(monitor_of(house)), "a monitor looks")
            monitor = monitor_of(house)
            os.kill(monitor, signal.SIGSTOP)
            # All of it: from a journal that is whole, the pages would be restored.
            for path in house.home.glob("monitor.db-*"):
                path.unlink()
            history.write_bytes(b"no database" * 1000)
            os.kill(monitor, signal.SIGKILL)
            log = next(house.home.glob("logs/*/monitor.log"))
            until(lambda: "damaged or no database" in log.read_text(), "it is said")
            report = house.command("monitor", "report", "model-1")
            for path in house.home.glob("monitor.db*"):
                path.unlink(missing_ok=True)
        assert server.stop() == 0

    found = sums(house)
    assert load.failed == []
    assert report.returncode != 0
    assert "is damaged or no database" in report.stderr
    assert found["traffic"][0] == len(load.answers)
    assert found["data"][2] == len(load.answers)
