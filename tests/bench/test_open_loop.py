"""The generator against a real server that stalls, refuses, closes and never answers."""

import asyncio
import math
import socket

import pytest
from slowserver import BUSY, LAST, OK, serving

from podium.bench.client import OpenLoop
from podium.bench.plan import phases
from podium.bench.requests import Payload, find_address
from podium.errors import Unavailable


def measured(url, *, rate=200.0, seconds=1.0, connections=1, timeout_s=30.0):
    address = find_address(url, is_remote_allowed=False)
    loop = OpenLoop(
        address, phases([rate], 0, seconds), [address.request(Payload("application/json", b"{}"))], connections, timeout_s
    )
    heard, _ = asyncio.run(asyncio.wait_for(loop.run(), 120))
    return heard[0]


def test_a_stall_is_charged_to_every_request_that_was_due_in_it():
    """A closed loop would report one slow answer of two hundred; honest is: half a second's worth of requests waited."""
    with serving(lambda number: (0.5, OK) if number == 50 else (0.0, OK)) as url:
        heard = measured(url)

    assert heard.statuses == {200: 200}
    # 100 requests were due during the stall, and waited between half a second and nothing.
    assert heard.latency_s(0.99) > 0.4
    assert sum(latency > 0.2 for latency in heard.latencies_s) >= 50
    assert heard.latencies_s[-1] >= 0.5


def test_the_schedule_does_not_slow_down_with_the_server():
    """A server that takes 20 ms for each of 100 requests a second falls behind on one connection, and that shows."""
    with serving(lambda _: (0.02, OK)) as url:
        heard = measured(url, rate=100)

    assert heard.statuses == {200: 100}
    assert heard.latencies_s[-1] > 0.8
    assert heard.achieved_rate < 60


def test_requests_that_are_late_are_given_up_and_counted():
    """A server that never answers: each waits for its time and no longer, whether it found a connection or not."""
    with serving(lambda _: (600.0, None)) as url:
        heard = measured(url, rate=40, seconds=0.5, connections=2, timeout_s=3.0)

    assert heard.failed == 20
    assert heard.failures["no answer in time"] >= 2
    assert set(heard.failures) <= {"no answer in time", "no free connection in time"}
    assert heard.last_s < 30
    assert heard.latency_s(0.5) == math.inf


def test_another_status_is_an_answer_and_a_failure():
    """Counted by status."""
    with serving(lambda number: (0.0, BUSY if number % 2 else OK)) as url:
        heard = measured(url, seconds=0.2)

    assert heard.statuses == {200: 20, 503: 20}
    assert heard.failed == 20


def test_a_connection_that_the_server_closes_is_replaced():
    """After `Connection: close` and after a break; only the request that was under way is lost."""
    with serving(lambda number: (0.0, LAST if number == 5 else None if number == 10 else OK)) as url:
        heard = measured(url, seconds=0.2)

    assert heard.statuses == {200: 39}
    assert heard.failures == {"the connection was closed before the answer": 1}


def test_what_is_no_http_is_a_failure():
    """And does not end the measurement."""
    with serving(lambda _: (0.0, b"hello\r\n\r\n")) as url:
        heard = measured(url, rate=20, seconds=0.2)

    assert heard.failures == {"the answer is no HTTP": 4}


def test_nobody_there_is_said_at_once():
    """With the address."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{holder.getsockname()[1]}"

        with pytest.raises(Unavailable, match=r"No connection to 127\.0\.0\.1"):
            measured(url)
