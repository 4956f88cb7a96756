"""One server for all tests of this room."""

from collections.abc import Iterator
from typing import Any

import pytest
from models_asked import served


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real one, with five models; `flowers` is the default."""
    with served(tmp_path_factory.mktemp("served"), max_body="1MiB", gateways=1) as running:
        yield running
