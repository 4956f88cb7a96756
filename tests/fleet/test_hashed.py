"""A server counts columns whose categories are hashed where it has their key, and says so where it has not."""

import contextlib
import os
from pathlib import Path

import numpy as np
from profile_world import profile_of
from tinyhouse import House, until

from podium.domain.monitoring.columns import Privacy
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.domain.monitoring.windows import Span
from podium.monitoring.store import reading
from podium.monitoring.store.database import MonitorStore
from podium.settings.home import Home

KEY = "a key of some length"
ROWS = 40
PROFILE = profile_of({"0": np.repeat([0, 1], 500)}, privacy=Privacy(hash_key=KEY.encode()))


def watched(house: House, version: int) -> str:
    """A model of two whole numbers, which are told as hashes."""
    assert PROFILE.columns["0"].bins.is_hashed
    folder = house.model(version)
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(PROFILE.to_json())
    return str(folder)


def is_watched(house: House) -> bool:
    """Whether the monitor has been handed the memory that rows are counted in."""
    for pid, command in house.processes().items():
        if "podium.monitoring" in command:
            with contextlib.suppress(OSError):
                return any("podium-slab" in os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def counted_in(house: House, profile_id: str) -> dict[str, tuple[int, int]]:
    """Rows of windows, and how many of them the column has, by version."""
    found = {}
    with MonitorStore(Home(house.home).monitor).reading() as connection:
        for each in reading.served(connection):
            # Seen for the first time as rows are written down, which may have been counted before the hour began.
            start = each.first_seen // 3600 * 3600
            span = Span(start - 3600, start + 7200)
            (point,) = reading.data(connection, each.key, profile_id, span)
            column = None if point.window.counts is None else point.window.counts.columns["0"]
            found[each.key.model] = (point.window.rows, 0 if column is None else sum(column.bins))
    return found


def test_hashed_columns_are_counted_by_whoever_has_the_key_and_said_not_to_be_judged_without_it(house: House) -> None:
    (house.folder / "key").write_text(KEY + "\n")
    warnings = {}
    for version, flags in ((1, ()), (2, ("--monitor-key-file", str(house.folder / "key")))):
        with house.serving(*flags, uri=watched(house, version)) as server:
            status, text = server.send("POST", "/invocations", {"inputs": [[0]] * ROWS})
            assert status == 200, text
            until(lambda: is_watched(house), "the monitor looks")
            (entry,) = server.status["endpoints"].values()
            warnings[version] = entry["model"]["warnings"]
            assert server.stop() == 0
            assert KEY not in server.said()

    logs = [path.read_text(errors="replace") for path in house.home.glob("logs/*/*") if path.is_file()]
    assert logs
    assert not any(KEY in text for text in logs)
    assert ["Not judged: '0'" in " ".join(warnings[version]) for version in (1, 2)] == [True, False]
    assert counted_in(house, PROFILE.profile_id) == {"model-1": (ROWS, 0), "model-2": (ROWS, ROWS)}


def test_a_server_whose_key_cannot_be_read_does_not_begin(house: House) -> None:
    (house.folder / "key").write_text("short")
    found = house.command("serve", "-m", watched(house, 1), "--monitor-key-file", str(house.folder / "key"))

    assert found.returncode != 0
    assert "fewer than 16 characters" in found.stderr
