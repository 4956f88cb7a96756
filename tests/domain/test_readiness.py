"""is_ready() as a truth table: how each endpoint stands, whether the server ever was ready, whether it is to be asked."""

import pytest

from podium.domain.readiness import Outlook, is_ready

LOADING, SERVES, FAILED = Outlook(serves=False), Outlook(serves=True), Outlook(serves=False, is_hopeless=True)

TABLE = [
    ("a server with nothing is not ready", [], False, False),
    ("one that loads is awaited", [LOADING], False, False),
    ("one that serves is ready", [SERVES], False, True),
    ("one that did not load is not", [FAILED], False, False),
    ("at the start each is awaited", [SERVES, LOADING], False, False),
    ("who finally failed is not awaited", [SERVES, FAILED], False, True),
    ("who finally failed does not hide who still loads", [SERVES, FAILED, LOADING], False, False),
    ("all failed", [FAILED, FAILED], False, False),
    ("later, one that is down takes nobody with it", [SERVES, LOADING], True, True),
    ("later, all are down", [LOADING, LOADING], True, False),
    ("later, one alone is down", [LOADING], True, False),
    ("later, one alone is back", [SERVES], True, True),
]


@pytest.mark.parametrize(("outlooks", "was_ready", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_server_is_ready_when_everything_is_decided_and_then_as_long_as_anything_serves(outlooks, was_ready, expected):
    """Two laws: nobody is sent to what still loads; one model's trouble is its own."""
    assert is_ready(outlooks, was_ready) is expected
