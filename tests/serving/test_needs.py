"""What each path needs: all that a gateway answers are listed, and one that is not is closed."""

import asyncio
import os
import socket
from collections import Counter

import pytest

from podium.domain.clients.access import Need
from podium.domain.description.document import describe
from podium.serving.gateway import Gateway
from podium.serving.guard.needs import NEEDS, need_of
from podium.serving.settings import GatewaySettings
from podium.telemetry.slots import Slots, create_slots

LEFT_TO_ADMIN = {
    ("POST", "/v2/repository/models/{name}/load"),
    ("POST", "/v2/repository/models/{name}/unload"),
    ("POST", "/models"),
    ("DELETE", "/models/{name}"),
}


@pytest.fixture(scope="module")
def paths() -> list[tuple[str, frozenset[str]]]:
    """Every path that a gateway answers, with its methods."""

    async def made() -> list[tuple[str, frozenset[str]]]:
        descriptor, (ours, theirs), listener = create_slots(1), socket.socketpair(), socket.socket()
        slots = Slots(descriptor)
        try:
            return Gateway(GatewaySettings(), theirs, listener, slots, 0).app.paths
        finally:
            slots.close()
            os.close(descriptor)
            for each in (ours, theirs, listener):
                each.close()

    return asyncio.run(made())


def test_what_is_left_to_admin_is_what_moves_models(paths):
    """A path that somebody adds and does not list is closed and stands here then; no line is for one that is gone."""
    left = {(method, path) for path, methods in paths for method in methods if need_of(method, path) is Need.ADMIN}

    assert left == LEFT_TO_ADMIN
    assert set(NEEDS) <= {path for path, _ in paths}


def test_the_description_has_all_that_a_gateway_answers_but_authz(paths):
    """Of a model that streams; and nothing that it does not answer."""
    document = describe({"m": {"version": "1", "mode": "compat", "is_streaming": True}}, "m", "1")
    told = {
        (method.upper(), path.replace("/m/", "/{name}/").replace("/m:", "/{name}:"))
        for path, methods in document["paths"].items()
        for method in methods
    }

    assert {(method, path) for path, methods in paths for method in methods} == told


def test_no_path_is_answered_by_two(paths):
    assert [path for path, times in Counter(path for path, _ in paths).items() if times > 1] == []


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        ("POST", "/somebody/adds/this", Need.ADMIN),
        ("GET", "/models", Need.READ),
        ("POST", "/models", Need.ADMIN),
        ("DELETE", "/models/{name}", Need.ADMIN),
        ("GET", "/models/{name}", Need.DESCRIBE),
        ("POST", "/v2/repository/models/{name}/unload", Need.ADMIN),
        ("POST", "/models/{name}/feedback", Need.SCORE),
        ("GET", "/ping", Need.OPEN),
        ("GET", "/status", Need.READ),
    ],
)
def test_what_is_not_listed_needs_the_most(method, path, need):
    """Also by method: reading a model and removing it are not the same."""
    assert need_of(method, path) is need


def test_a_page_is_opened_by_its_word_and_no_other_is():
    opened = frozenset({"metrics"})

    assert need_of("GET", "/metrics", opened) is Need.OPEN
    assert need_of("GET", "/status", opened) is Need.READ
