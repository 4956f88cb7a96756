"""What each path needs: all that a gateway answers are listed, and one that is not is closed."""

import re

import pytest
from tree import SOURCE

from podium.domain.access import Need
from podium.serving.needs import NEEDS, need_of

_ENTRY = re.compile(r'^\s+"(/[^"\s]*)":', re.MULTILINE)
MOVING = {"/v2/repository/models/{name}/load", "/v2/repository/models/{name}/unload"}


def test_each_path_of_a_protocol_says_what_it_needs():
    """A path that somebody adds and does not list is left to `admin`; so are, on purpose, those that move models."""
    files = [path for path in (SOURCE / "serving").glob("*.py") if path.name != "needs.py"]
    paths = {found for path in files for found in _ENTRY.findall(path.read_text())}

    assert len(paths) > 20
    assert paths - set(NEEDS) == MOVING


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        ("POST", "/somebody/adds/this", Need.ADMIN),
        ("GET", "/models", Need.READ),
        ("POST", "/models", Need.ADMIN),
        ("DELETE", "/models/{name}", Need.ADMIN),
        ("GET", "/models/{name}", Need.DESCRIBE),
        ("POST", "/v2/repository/models/{name}/unload", Need.ADMIN),
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
