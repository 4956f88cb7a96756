"""Endpoints that come and go while a server runs: loaded, unloaded, asleep, woken, evicted."""

import json
import os
import signal
import threading

import pytest
from tinyhouse import until

from podium.fleet.machine import resident_bytes


def state(server, name):
    endpoint = server.status["endpoints"].get(name)
    return None if endpoint is None else endpoint["state"]


def ask(server, name, milliseconds=0):
    return server.ask(milliseconds, path=f"/models/{name}/invocations")


def post(server, path, body=None):
    status, text = server.send("POST", path, body)
    return status, json.loads(text) if text else None


@pytest.fixture
def folders(house):
    return {f"m{number}": house.model(number) for number in range(1, 6)}


def named(folders, *flags):
    return [part for name, folder in folders.items() for part in ("-m", f"{name}={folder}")] + list(flags)


def test_models_sleep_until_they_are_asked_and_the_least_used_goes(house, folders):
    """Two of five at a time: nothing is loaded at the start, no request fails, the oldest makes room."""
    with house.serving("-p", "0", "--gateways", "2", *named(folders, "--max-resident", "2"), uri=None) as server:
        assert [state(server, name) for name in folders] == ["asleep"] * 5
        assert server.get("/readyz")[0] == 200
        assert server.get("/models/m1/ready")[0] == 200
        answers = [ask(server, name) for name in (*folders, "m1")]
        until(lambda: sum(bool(server.workers(name)) for name in folders) <= 2, "no more than two stay")
        said = server.said()
    assert [status for status, _ in answers] == [200] * 6
    assert [answer[0] for _, answer in answers] == [1, 2, 3, 4, 5, 1]
    assert next(line for line in said.splitlines() if "sleeps: to make room" in line) == "m1: sleeps: to make room for m3"


def test_a_worker_that_is_killed_while_it_wakes_is_started_again(house):
    """Who waits for it is answered; one that never served is given up for now, and tried again when it is loaded."""
    slow = house.model(1, "import time; time.sleep(1.5)")
    with house.serving("-p", "0", "-m", f"a={slow}", "--resident", "demand", uri=None) as server:
        first = Asking(server, "a")
        until(lambda: starting(server, "a"), "it loads")
        os.kill(starting(server, "a")[0], signal.SIGKILL)
        status, answer = first.answer()
        assert (status, answer["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "did not load" in answer["message"]
        assert server.status["endpoints"]["a"]["wanted_failure"]["cause"] == "signal"

        assert post(server, "/models", {"model_name": "a", "url": str(slow)})[0] == 200
        assert ask(server, "a") == (200, [1, server.workers("a")[0]])


def test_a_sleeper_that_served_before_wakes_whatever_is_killed(house):
    """It sleeps when nobody asked for a while; killed while it wakes, it starts again and nobody notices."""
    slow = house.model(1, "import time; time.sleep(1)")
    with house.serving("-p", "0", "-m", f"a={slow}", "--sleep-after", "1", uri=None) as server:
        assert state(server, "a") == "serving"
        until(lambda: state(server, "a") == "asleep" and not server.status["endpoints"]["a"]["replicas"], "it sleeps")
        waiting = [Asking(server, "a") for _ in range(5)]
        until(lambda: starting(server, "a"), "it loads")
        os.kill(starting(server, "a")[0], signal.SIGKILL)
        answers = [each.answer() for each in waiting]
    assert [status for status, _ in answers] == [200] * 5


def test_what_never_fits_is_refused_at_once_and_clearly(house, folders):
    """The pinned one holds the only place: 503 with Retry-After for a request, 507 for whoever loads."""
    (house.folder / "podium.toml").write_text('[models.m1]\nresident = "always"\n')
    with house.serving("-p", "0", *named(folders, "--max-resident", "1"), uri=None) as server:
        assert state(server, "m1") == "serving"
        status, answer = ask(server, "m2")
        loaded = post(server, "/models", {"model_name": "m9", "url": str(folders["m3"])})
        assert (status, answer["message"]) == (
            503,
            "m2 is not loaded. 1 models always stay, and at most 1 may be loaded at a time.",
        )
        assert ask(server, "m1")[0] == 200
    assert loaded[0] == 403


def test_memory_is_promised_before_it_is_taken(house, folders):
    """Five are asked for at once, and two fit by what the first one took: never more than the budget, nobody refused."""
    with house.serving("-p", "0", *named(folders, "--memory-budget", "64MiB"), uri=None) as server:
        refused = ask(server, "m1")
    assert refused[0] == 503
    assert "the memory budget is 64 MiB" in refused[1]["message"]

    with house.serving("-p", "0", *named(folders, "--memory-budget", "400MiB"), uri=None) as server:
        asked = [Asking(server, name) for name in folders]
        held = []
        until(lambda: held.append(resident(server, folders)) or all(each.is_over for each in asked), "all are answered")
        answers = [each.answer() for each in asked]
    assert [status for status, _ in answers] == [200] * 5
    assert max(held) <= 400 << 20


def resident(server, names):
    pids = [
        replica["pid"]
        for name in names
        for replica in server.status["endpoints"][name]["replicas"]
        if replica["pid"] is not None
    ]
    return sum(resident_bytes(pid) for pid in pids)


def starting(server, name):
    replicas = server.status["endpoints"][name]["replicas"]
    return [replica["pid"] for replica in replicas if replica["state"] == "starting" and replica["step"] == "load"]


class Asking:
    """A request in a thread of its own."""

    def __init__(self, server, name, milliseconds=0):
        self._found = None
        self._thread = threading.Thread(target=self._ask, args=(server, name, milliseconds))
        self._thread.start()

    def _ask(self, server, name, milliseconds):
        self._found = ask(server, name, milliseconds)

    @property
    def is_over(self):
        return not self._thread.is_alive()

    def answer(self):
        self._thread.join(60)
        return self._found
