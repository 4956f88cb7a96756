"""A server that is told labels says how good its model is, and tells people when it is worse than when it was made."""

import dataclasses
import http.client
import json
import os
import re
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from profile_world import profile_of
from tinyhouse import House, Server, until

from podium.api.reporting import monitor_report
from podium.api.requests import show
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.monitoring.store.alerts import book_of
from podium.monitoring.store.database import MonitorStore
from podium.settings.home import Home

ROWS, TIMES = 180, 3
# What it is asked it answers, so that a test knows what it said.
ECHO = "answers.append(int(row[0])); continue"


def measured(house: House) -> str:
    """A model of one class a row, which was right nine times of ten when it was packaged."""
    folder = house.model(1, before_answer=ECHO)
    values = np.arange(1000) % 2
    profile = profile_of({"0": values}, value=values, is_classifier=True)
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(dataclasses.replace(profile, quality={"accuracy": 0.9, "rows": 1000.0}).to_json())
    return str(folder)


def ask(server: Server, name: str) -> None:
    """One request of many rows, under a name of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)) as connection:
        body = json.dumps({"inputs": [[row % 2] for row in range(ROWS)]})
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json", "X-Request-ID": name})
        assert connection.getresponse().status == 200


def label(server: Server, wrong_of_ten: int) -> list[dict[str, Any]]:
    """Say what was true: so many rows of ten were answered wrongly. What became of each report."""
    truth = [row % 2 ^ (row // 2 % 10 < wrong_of_ten) for row in range(ROWS)]
    reports = [{"request_id": f"asked-{number}", "label": truth} for number in range(TIMES)]
    status, text = server.send("POST", f"/models/{named(server)}/feedback", reports)
    assert status == 200, text
    return json.loads(text)["items"]


def is_watched(house: House) -> bool:
    """Whether the monitor has been told what is served, with the memory that rows are counted in."""
    for pid, command in house.processes().items():
        if "podium.monitoring" in command:
            with suppress(OSError):
                links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
                return any("podium-slab" in each for each in links)
    return False


def named(server: Server) -> str:
    (name,) = server.status["endpoints"]
    return name


def accuracy_in(quality: dict[str, Any]) -> dict[str, Any]:
    (variant,) = quality["variants"]
    return next(each for each in variant["figures"] if each["metric"] == "accuracy")


def firing(home: Home) -> list[dict[str, str]]:
    with MonitorStore(home.monitor).reading() as connection:
        return [dict(alert.labels) for alert in book_of(connection).firing() if alert.rule == "quality"]


@pytest.mark.slow
def test_labels_say_how_good_a_model_is_and_when_it_got_worse(house: House) -> None:
    """Good labels first; in the next server worse ones take their place, of answers that it has not given itself.

    Whoever started it has said what the model is for.
    """
    uri, home = measured(house), Home(house.home)
    with house.serving("--gateways", "1", uri=uri) as server:
        name = named(server)
        for number in range(TIMES):
            ask(server, f"asked-{number}")
        first = label(server, wrong_of_ten=0)
        until(lambda: is_watched(house), "the monitor knows what is served")
        assert server.stop() == 0
    (good,) = monitor_report(name, home=home)["versions"]
    before = firing(home)
    with house.serving("--gateways", "1", "--task", "multiclass", uri=uri) as server:
        line = re.compile(r'^podium_quality\{.*metric="accuracy".*\} 1$', re.MULTILINE)
        until(lambda: line.search(server.get("/metrics")[1]), "what was judged is shown")
        metrics = server.get("/metrics")[1]
        second = label(server, wrong_of_ten=3)
        assert server.stop() == 0
    told = house.command("monitor", "report", name, "--json")
    (worse,) = json.loads(told.stdout)["versions"]

    assert {each["result"] for each in first} == {"matched"}
    figure = accuracy_in(good["quality"])
    assert (good["quality"]["task"], figure["value"], figure["rows"], figure["verdict"]) == (
        "binary",
        1,
        ROWS * TIMES,
        "ok",
    )
    assert figure["interval"][0] > 0.99
    assert (good["quality"]["labels"]["predicted"], good["quality"]["labels"]["coverage"]) == (ROWS * TIMES, 1)
    assert before == []
    assert re.search(r'^podium_quality_is_worse\{.*metric="accuracy".*\} 0$', metrics, re.MULTILINE)
    assert {each["label"] for each in second} == {"kept"}
    figure = accuracy_in(worse["quality"])
    assert (figure["value"], figure["baseline"], figure["verdict"]) == (0.7, 0.9, "alert")
    assert (worse["quality"]["task"], worse["quality"]["positive"]) == ("multiclass", None)
    assert firing(home) == [{"metric": "accuracy", "model": name, "variant": "", "version": good["version"]}]
    shown = show("asked-0", home)["predictions"]
    assert [(each["row"], each["prediction"], each["label"]) for each in shown[:2]] == [(0, 0, 1), (1, 1, 0)]
