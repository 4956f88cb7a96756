"""Servers that are told so keep one history in PostgreSQL, and give no secret of its address away."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from postgresql import PROGRAMS, postgresql
from profile_world import profile_of
from tinyhouse import House

from podium.domain.monitoring.profile import PROFILE_PATH

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
