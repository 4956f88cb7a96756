"""Endpoints that come and go while a server runs: loaded, unloaded, asleep, woken, evicted."""

import contextlib
import json
import os
import signal
import socket
import threading

import pytest
from tinyhouse import PRODUCTION, Load, until


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
    assert [(status, answer[0]) for status, answer in answers] == [(200, 1), (200, 2), (200, 3), (200, 4), (200, 5), (200, 1)]
    assert "m1: sleeps: to make room for m3" in said
