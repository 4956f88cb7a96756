"""Listening sockets: had by the supervisor for good, so that a gateway's death loses no waiting connection; and ports."""

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Any

from podium.errors import Misconfigured

_BACKLOG = 4096
_TRIES = 8
_LISTEN = "0A"
_LONGEST_COMMAND = 120
_PROC = Path("/proc")


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets that listen on the same address, one for each gateway; the kernel spreads connections over them.

    Args:
        host: A name or address of this machine.
        count: How many sockets.
        port: 0 takes a free one; all sockets get the same.

    Raises:
        Misconfigured: The address cannot be had; names the process that holds the port where that can be known.
    """
    family, kind, address = _resolve(host, port)
    sockets: list[socket.socket] = []
    try:
        if count == 1:
            sockets.append(_bind(family, kind, address, is_shared=False))
        else:
            sockets += _bind_shared(family, kind, address, count)
        for sock in sockets:
            sock.listen(_BACKLOG)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise Misconfigured(_explain(error, host, port, "-p")) from error
    return sockets


def reserve(host: str, port: int) -> socket.socket:
    """A socket that holds a port for gateways which bind it themselves, as gRPC's library does, and takes no connection.

    Raises:
        Misconfigured: As `listen`.
    """
    family, kind, address = _resolve(host, port)
    try:
        [sock] = _bind_shared(family, kind, address, 1)
    except OSError as error:
        raise Misconfigured(_explain(error, host, port, "--grpc-port")) from error
    return sock


def shown(sock: socket.socket) -> str:
    """A socket's address as HOST:PORT."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def holder_of(port: int, proc: Path = _PROC) -> str | None:
    """Who listens on a TCP port (`python (pid 812): podium serve -m ...`); None where that cannot be seen."""
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return None
    for folder in proc.iterdir():
        if folder.name.isdigit() and _has_socket(folder, inodes):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                name = (folder / "comm").read_text(errors="replace").strip()
            except OSError:
                continue
            shown = command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]} …"
            return f"{name} (pid {folder.name}): {shown}"
    return None


def _resolve(host: str, port: int) -> tuple[int, int, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise Misconfigured(f"--host {host}: {error.strerror or error}. Give an address of this machine.") from error
    return found[0], found[1], found[4]


def _bind_shared(family: int, kind: int, address: tuple[Any, ...], count: int) -> list[socket.socket]:
    """So many sockets on one port; where any will do, another if somebody takes it in the moment in which it is free."""
    left = _TRIES if address[1] == 0 else 1
    while True:
        left -= 1
        # Bound alone first: with SO_REUSEPORT a port that another server of ours shares would seem to be free.
        with _bind(family, kind, address, is_shared=False) as guard:
            guard.listen(1)
            found = (address[0], guard.getsockname()[1], *address[2:])
        with contextlib.ExitStack() as had:
            try:
                sockets = [had.enter_context(_bind(family, kind, found, is_shared=True)) for _ in range(count)]
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not left:
                    raise
            else:
                had.pop_all()
                return sockets


def _bind(family: int, kind: int, address: tuple[object, ...], *, is_shared: bool) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _explain(error: OSError, host: str, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        who = f" It is held by {holder}." if holder else ""
        if holder and "podium" in holder and flag == "-p":
            who += f" To end that server: podium stop -p {port}."
        return f"Port {port} on {host} is taken.{who} Choose another with {flag} PORT, or {flag} 0 for any free one."
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} may not be used by this user. Choose one above 1023 with {flag} PORT."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for all."
    return f"Cannot listen on {host}:{port}: {error.strerror}."


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _has_socket(folder: Path, inodes: set[str]) -> bool:
    try:
        entries = list((folder / "fd").iterdir())
    except OSError:
        return False
    for entry in entries:
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            return True
    return False
