"""Servers that are told so keep one history in PostgreSQL, and give no secret of its address away."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from postgresql import PROGRAMS, postgresql
from profile_world import profile_of
from tinyhouse import House, until

from podium.api.histories import copy_monitor_history
from podium.api.reporting import monitor_report
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.errors import Unavailable
from podium.settings.home import Home

pytest.importorskip("psycopg2", reason="podium[sql] is not installed")
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")
SECRET = "hunter2"


@pytest.fixture
def address() -> Iterator[str]:
    """Of a database of this test's own."""
    with postgresql() as address:
        yield address.replace(":///", f"://ann:{SECRET}@/").removesuffix("&user=")


def watched(house: House) -> str:
    """A model of one number with a profile."""
    folder = Path(house.model(1))
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(profile_of({"0": np.arange(1000) % 7}).to_json())
    return str(folder)


@pytest.mark.slow
def test_two_servers_keep_one_history(house: House, tmp_path: Path, address: str) -> None:
    uri, named, elsewhere = watched(house), ("--name", "fraud"), House(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    for each in (house, elsewhere):
        each.environment["PODIUM_SERVE_MONITOR_STORE"] = address
    with house.serving(*named, uri=uri) as one, elsewhere.serving(*named, uri=uri) as other:
        for server in (one, one, other):
            status, text = server.send("POST", "/invocations", {"inputs": [[0]] * 10})
            assert status == 200, text
        commands = " ".join(house.processes().values())
        seen = [commands, one.get("/status")[1], one.get("/metrics")[1]]
        assert (one.stop(), other.stop()) == (0, 0)
    report = house.command("monitor", "report", "fraud", "--json")
    logs = [log.read_text(errors="replace") for each in (house, elsewhere) for log in each.home.glob("logs/**/*.log")]

    [version] = json.loads(report.stdout)["versions"]
    assert (version["traffic"]["requests"], version["traffic"]["rows"]) == (3, 30)
    assert not (house.home / "monitor.db").exists()
    assert elsewhere.processes() == {}
    assert not [text for text in [*seen, *logs, one.said(), other.said(), report.stdout] if SECRET in text]


def says_that_it_is_there(house: House) -> bool:
    """Whether its monitor has told others what it knows."""
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(house.home / "monitor.db")) as connection:
        return bool(connection.execute("SELECT 1 FROM server_values").fetchone())
    return False


@pytest.mark.slow
def test_a_server_goes_on_in_the_database_that_its_history_was_copied_to(house: House, address: str) -> None:
    """Not while another one writes the file, and with what it had counted until it ended."""
    uri, home = watched(house), Home(house.home)
    with house.serving("--name", "fraud", uri=uri) as server:
        assert server.send("POST", "/invocations", {"inputs": [[0]] * 10})[0] == 200
        until(lambda: says_that_it_is_there(house), "the monitor writes")
        with pytest.raises(Unavailable, match="A server writes to"):
            copy_monitor_history(address, home=home)
        assert server.stop() == 0
    copied = copy_monitor_history(address, home=home)
    house.environment["PODIUM_SERVE_MONITOR_STORE"] = address
    with house.serving("--name", "fraud", uri=uri) as server:
        assert server.send("POST", "/invocations", {"inputs": [[0]] * 10})[0] == 200
        assert server.stop() == 0

    assert SECRET not in copied.target
    [version] = monitor_report("fraud", home=home, store=address)["versions"]
    assert (version["traffic"]["requests"], version["traffic"]["rows"]) == (2, 20)
