"""Ports that a test names before anybody listens there."""

import itertools
import os
import socket
from pathlib import Path

_COUNT = 12_000
_NUMBERS = itertools.count(int.from_bytes(os.urandom(4)))


def free_port() -> int:
    """A port that is free, that is given nobody here a second time, and nobody at all by the kernel.

    One that the kernel chose would be as good until a connection of some other test is given it too, before the server
    under test listens there, or while it is started anew.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first < 2 * _COUNT:
        return _bound(0)
    for number in itertools.islice(_NUMBERS, _COUNT):
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
