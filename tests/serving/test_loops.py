"""A gateway on either event loop: the same walk, and the one that was asked for."""

import pytest


@pytest.mark.parametrize(("asked", "is_uvloop"), [("", True), ("asyncio", False)])
def test_a_gateway_serves_and_drains_on_either_loop(start, monkeypatch, asked, is_uvloop):
    """Small and large bodies, a worker that dies, a drain that waits for the last answer."""
    monkeypatch.setenv("PODIUM_LOOP", asked)
    server = start()
    first, second = server.add(1), server.add(2)
    server.publish({"1": (100, [1])})
    assert server.runs_on_uvloop() == is_uvloop

    for size in (10, 3_000_000):
        soon = server.score_soon(b'{"inputs": "%s"}' % (b"x" * size))
        request = first.take()
        assert len(request.body) == size + 14
        first.reply(request, b"y" * size)
        assert soon.result().body == b"y" * size

    server.publish({"1": (100, [1, 2])})
    first.die()
    soon = server.score_soon()
    request = second.take()
    server.drain()
    server.wait_until_draining()
    second.reply(request)
    answer = soon.result()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert server.gateway.wait() == 0
