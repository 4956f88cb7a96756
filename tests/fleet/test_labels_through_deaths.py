"""Labels that a server has acknowledged are counted, and once, whoever is killed between answer, label and writing."""

import dataclasses
import http.client
import json
import os
import signal
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from profile_world import profile_of
from tinyhouse import House, Server, until

from podium.api.reporting import monitor_report
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.settings.home import Home

ROWS = 3
ECHO = "answers.append(int(row[0])); continue"


def measured(house: House) -> str:
    """A model of one class a row, which answers what it is asked."""
    folder = house.model(1, before_answer=ECHO)
    values = np.arange(1000) % 2
    profile = profile_of({"0": values}, value=values, is_classifier=True)
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(dataclasses.replace(profile, quality={"accuracy": 0.9, "rows": 1000.0}).to_json())
    return str(folder)


def of(house: House, module: str) -> list[int]:
    return sorted(pid for pid, command in house.processes().items() if f"-m {module} " in command)


def monitor_of(house: House) -> int:
    return of(house, "podium.monitoring")[0]


def gateway_of(house: House) -> int:
    return of(house, "podium.serving")[0]


def has_all(house: House, dead: set[int]) -> bool:
    """Whether there are two gateways and a monitor that others have taken the places of, and it watches."""
    living = {module: set(of(house, module)) - dead for module in ("podium.monitoring", "podium.serving")}
    return len(living["podium.serving"]) == 2 and any(map(has_looked, living["podium.monitoring"]))


def has_looked(monitor: int) -> bool:
    """Whether it has been handed the memory that rows are counted in."""
    try:
        folder = f"/proc/{monitor}/fd"
        return any("podium-slab" in os.readlink(f"{folder}/{name}") for name in os.listdir(folder))
    except OSError:
        return False


def is_answered(server: Server, name: str) -> bool:
    """Whether a request of this name was answered: a gateway that dies takes its connections with it."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            body = json.dumps({"inputs": [[row % 2] for row in range(ROWS)]})
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json", "X-Request-ID": name})
            return connection.getresponse().status == 200
    except OSError:
        return False


def acknowledged(server: Server, model: str, names: list[str]) -> list[str]:
    """Which of these answers' labels were taken; the first row was answered right, the others are labelled one by one."""
    reports = [
        {"request_id": name, "row": row, "label": row % 2 if row == 0 else 1 - row % 2}
        for name in names
        for row in range(ROWS)
    ]
    try:
        status, text = server.send("POST", f"/models/{model}/feedback", reports)
    except OSError:
        return []
    assert status == 200, text
    assert {item["result"] for item in json.loads(text)["items"]} <= {"matched", "duplicate", "unmatched"}
    return names


@pytest.mark.slow
def test_acknowledged_labels_count_once_through_kills_of_gateways_and_monitors(house: House) -> None:
    uri, names, taken = measured(house), [], set()
    with house.serving("--gateways", "2", uri=uri) as server:
        (model,) = server.status["endpoints"]
        until(lambda: has_all(house, set()), "a monitor watches")
        for number, kills in enumerate(((gateway_of,), (monitor_of, gateway_of), ())):
            asked = [f"asked-{number}-{each}" for each in range(20)]
            asked = [name for name in asked if is_answered(server, name)]
            names += asked
            # Half of them once, so that nothing mends what is lost; half of them again and again.
            taken.update(acknowledged(server, model, asked))
            dead = {kill(house) for kill in kills}
            for pid in dead:
                os.kill(pid, signal.SIGKILL)
            acknowledged(server, model, asked[::2])
            until(lambda dead=dead: has_all(house, dead), "all are there again")
        until(lambda: acknowledged(server, model, names[::2]), "labels are sent again")
        assert server.stop() == 0
    with closing(sqlite3.connect(house.home / "monitor.db")) as connection:
        kept = connection.execute("SELECT request_id, place, label FROM predictions").fetchall()
        parked = connection.execute("SELECT DISTINCT request_id, place FROM parked_labels").fetchall()
    (version,) = monitor_report(model, home=Home(house.home))["versions"]
    (variant,) = version["quality"]["variants"]
    accuracy = next(each for each in variant["figures"] if each["metric"] == "accuracy")

    # What a gateway had not handed on yet died with it; its labels wait for it.
    assert taken == set(names)
    assert 20 * ROWS <= len(kept) <= len(names) * ROWS
    assert all(label is not None for _, _, label in kept)
    assert {(name, row) for name in names for row in range(ROWS)} == {(n, r) for n, r, _ in kept} | set(parked)
    assert accuracy["rows"] == version["quality"]["labels"]["predicted"] == len(kept)
    assert accuracy["value"] == 1 / ROWS
