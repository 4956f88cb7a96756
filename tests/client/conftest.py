"""One server for all tests of this room, and both clients of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from asking import Awaited
from models_asked import served

from podium.client import Client


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real one, with six models; `flowers` is the default."""
    with served(tmp_path_factory.mktemp("served"), max_body="1MiB", gateways=1) as running:
        yield running


@pytest.fixture(params=[Client, Awaited], ids=["blocking", "asynchronous"])
def make(request):
    made = []

    def client(url, **options):
        made.append(request.param(url, **options))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(make, server):
    return make(server.url)
