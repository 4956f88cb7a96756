"""Hostile clients against a real server with a real model: they are refused, and all others served as ever.

PODIUM_TEST_HOSTILE_REQUESTS says how many malformed requests (the issue has 100,000), PODIUM_TEST_HOSTILE_SEED which.
"""

import asyncio
import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from driven import Podium, Server, Versions, wait_until
from hostile import GoodClient, post, slow_body, slow_head, slow_reader, storm

pytestmark = [pytest.mark.slow, pytest.mark.alone]
REQUESTS = int(os.environ.get("PODIUM_TEST_HOSTILE_REQUESTS", "1500"))
SEED = int(os.environ.get("PODIUM_TEST_HOSTILE_SEED", "1"))
_WARM_UP = 500
_GROWTH = 24 * 1024 * 1024
_LATE_S = 3.0  # of a 99th percentile on a machine that runs other tests


@pytest.fixture
def server(podium: Podium, versions: Versions) -> Server:
    """One gateway, one worker, short time-outs; whatever is done to it, the same processes are there in the end."""
    podium.environment |= {
        "PODIUM_LIMITS_HEAD_TIMEOUT": "1s",
        "PODIUM_LIMITS_BODY_TIMEOUT": "1s",
        "PODIUM_LIMITS_SEND_TIMEOUT": "1s",
    }
    running = podium.serve(versions.uri)
    before = children(running)
    yield running
    assert children(running) == before
    assert running.stop() == 0


def children(server: Server) -> list[int]:
    return server.children("podium.worker") + server.children("podium.serving")


def memory(server: Server) -> int:
    """Bytes that gateway and worker hold for themselves."""
    total = 0
    for pid in children(server):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
    return total


def beside_a_good_client(server: Server, versions: Versions, hostile: Awaitable[Any]) -> tuple[Any, GoodClient]:
    """Run the hostile ones with a good one beside them, which must get each of its answers in time."""
    client = GoodClient(server.port, versions.body)

    async def both() -> Any:
        over = asyncio.Event()
        asking = asyncio.create_task(client.ask(over))
        try:
            result = await hostile
        finally:
            over.set()
            await asyncio.wait_for(asking, 120)
        return result

    result = asyncio.run(both())
    assert client.wrong == []
    assert client.percentile(0.99) < _LATE_S
    return result, client


@pytest.mark.timeout(60 + REQUESTS)
def test_malformed_requests_are_refused_and_cost_nothing(server: Server, versions: Versions):
    """Mutated, truncated, split, oversized, random: no 5xx, no death, no growth, and the good client is served."""
    asyncio.run(storm(server.port, versions.body, _WARM_UP, SEED + 1))
    before = memory(server)

    tally, client = beside_a_good_client(server, versions, storm(server.port, versions.body, REQUESTS, SEED))

    grown = memory(server) - before
    print(  # for whoever scales it up; pytest -s shows it
        f"{tally.sent} requests, answers {dict(sorted(tally.statuses.items()))}, {tally.unanswered} without; "
        f"{grown / 1e6:+.1f} MB; good client {len(client.seconds)} answers, p50 {client.percentile(0.5) * 1e3:.1f} ms, "
        f"p99 {client.percentile(0.99) * 1e3:.1f} ms",
        file=sys.stderr,
    )
    assert {status: tally.first[status] for status in tally.statuses if status >= 500} == {}
    assert {200, 400, 413, 414, 415, 431} <= tally.statuses.keys()
    assert tally.unanswered < tally.sent / 3
    assert grown < _GROWTH


def test_slow_clients_are_cut_and_hold_up_nobody(server: Server, versions: Versions):
    """Heads and bodies that never end, answers that nobody reads: each gets its time, and is gone after it."""
    before = memory(server)
    slow: list[socket.socket] = []

    async def hold() -> None:
        for begin in (*[slow_head, slow_body] * 60, *[slow_reader] * 15):
            slow.append(begin(server.port))
            await asyncio.sleep(0)
        ends = time.monotonic() + 120
        while not all(_is_cut(sock) for sock in slow):
            assert time.monotonic() < ends, f"{sum(not _is_cut(sock) for sock in slow)} slow clients are still connected"
            await asyncio.sleep(0.05)

    try:
        beside_a_good_client(server, versions, hold())
    finally:
        for sock in slow:
            sock.close()
    assert memory(server) - before < _GROWTH


def _is_cut(sock: socket.socket) -> bool:
    """Whether the server has closed or reset, or said its last word; what it sent to a reader is left unread."""
    poller = select.poll()
    poller.register(sock, select.POLLRDHUP | select.POLLHUP)
    return bool(poller.poll(0)) or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def test_a_flood_of_pipelined_requests_stays_with_its_connection(server: Server, versions: Versions):
    """Thousands of requests in one go, on some connections: answered in order as they are read, beside everybody else."""
    request = post(b'{"inputs": 1}')

    async def flood() -> int:
        async def one() -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            count = 500
            writer.write(request * count + request.replace(b"Host: a", b"Host: a\r\nConnection: close"))
            answers = await asyncio.wait_for(reader.read(-1), 60)
            writer.close()
            return answers.count(b"HTTP/1.1 400 ")

        return sum(await asyncio.gather(*(one() for _ in range(4))))

    before = memory(server)
    answered, _ = beside_a_good_client(server, versions, flood())

    assert answered == 4 * 501
    assert memory(server) - before < _GROWTH


def test_connections_that_are_reset_at_any_moment_leave_nothing(server: Server, versions: Versions):
    """Opened, half used and torn down, thousands of times: no descriptor stays open in the gateway."""
    [gateway] = server.children("podium.serving")
    whole = post(b'{"inputs": 1}')
    server.post(versions.body)
    before = len(os.listdir(f"/proc/{gateway}/fd"))

    for number in range(1000):
        with contextlib.suppress(OSError), contextlib.closing(slow_head(server.port)) as sock:
            sock.send(whole[: number % len(whole)])

    assert server.post(versions.body)[0] == 200
    wait_until(lambda: len(os.listdir(f"/proc/{gateway}/fd")) <= before + 2, 150, "the descriptors are closed")
