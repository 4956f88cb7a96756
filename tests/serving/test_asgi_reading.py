"""What is read of a request under somebody else's server."""

import asyncio
from types import SimpleNamespace
from typing import Any

from podium.domain.clients.access import Peer
from podium.serving.asgi import _read
from podium.web.limits import Limits
from podium.web.messages import Unread

SCOPE = {"method": "POST", "path": "/invocations", "headers": [(b"content-encoding", b"gzip")], "type": "http"}


class Bodies:
    """Gives a body that is no gzip, and counts how often it was asked."""

    asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return {"type": "http.request", "body": b"no gzip", "more_body": False}


def read(is_turned_away: bool, bodies: Bodies) -> Any:
    app = SimpleNamespace(turns_away=lambda _head, _peer: is_turned_away)
    gateway: Any = SimpleNamespace(app=app, connections=SimpleNamespace(limits=Limits(), body_size=0))
    return asyncio.run(_read(gateway, SCOPE, bodies.receive, Peer("192.0.2.1")))


def test_no_body_is_read_of_a_stranger():
    """Neither taken from the server nor unpacked; whoever may ask is told what is wrong with it."""
    strangers, known = Bodies(), Bodies()

    assert isinstance(read(True, strangers), Unread)
    assert (strangers.asked, read(False, known).status, known.asked) == (0, 400, 1)
