"""Ports that a test names before anybody listens there."""

import itertools
import os
import socket
from pathlib import Path

_COUNT = 12_000
# Of processes that run tests beside each other, each has numbers of its own.
_BESIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_MINE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_NUMBERS = itertools.count(int.from_bytes(os.urandom(4)) // _BESIDE * _BESIDE + _MINE, _BESIDE)


def free_port() -> int:
    """A port that is free, that is given nobody here a second time, and nobody at all by the kernel.

    One that the kernel chose would be as good until a connection of some other test is given it too, before the server
    under test listens there, or while it is started anew.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first < 2 * _COUNT:
        return _bound(0)
    for number in itertools.islice(_NUMBERS, _COUNT // _BESIDE):
        port = _bound(first - 1 - number % _COUNT)
        if port:
            return port
    raise AssertionError(f"no port below {first} is free")


def _bound(port: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])
