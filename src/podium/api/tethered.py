"""A supervisor that another process started for itself: it serves until that process stops it, or is gone.

`python -m podium.api.tethered FD` reads one JSON line from a socket, `{owner, said, remove}`, and writes one:
`{"serving": status}` once it serves, or `{"failed": name, "message": text, "facts": {...}}`. Whether the owner lives is
asked of the kernel and not of the socket, whose other end a forked child of the owner holds open too.
"""

import asyncio
import json
import os
import shutil
import socket
import sys
from typing import Any

from podium.api.endpoint import SETTINGS, server_of
from podium.errors import PodiumError
from podium.fleet.site import ServerOrder
from podium.fleet.supervisor import Supervisor
from podium.fleet.telling.events import Event
from podium.settings.home import find_home
from podium.settings.provenance import Said, gather

_LOOK_S = 0.5
_LONGEST_ORDER = 1 << 20
_ORDER_S = 30.0


class Tethered:
    """Runs the supervisor and says once what became of its start.

    Args:
        order: What to serve.
        owner: The process to serve for.
        sock: Told once that it serves.
    """

    def __init__(self, order: ServerOrder, owner: int, sock: socket.socket) -> None:
        self._owner = owner
        self._sock = sock
        self._is_told = False
        self._supervisor = Supervisor(order, self._hear)

    async def run(self) -> None:
        """Serve until told to stop, or the owner is gone."""
        watching = asyncio.create_task(self._watch_owner())
        try:
            await self._supervisor.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch_owner(self) -> None:
        try:
            descriptor = os.pidfd_open(self._owner)
        except ProcessLookupError:
            self._supervisor.stop()
            return
        except OSError:
            # A sandbox that refuses pidfds: whoever inherits us is another process.
            while os.getppid() == self._owner:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
            self._supervisor.stop()
            return
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, ended.set)
        try:
            # Only now is it sure that the number was the owner's when it was opened.
            if os.getppid() == self._owner:
                await ended.wait()
            self._supervisor.stop()
        finally:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def _hear(self, event: Event) -> None:
        if event.kind == "ready" and not self._is_told:
            self._is_told = True
            _say(self._sock, {"serving": self._supervisor.status})


def main() -> None:
    """Read the order, serve, and leave nothing behind."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.settimeout(_ORDER_S)
    with sock.makefile("r", encoding="utf-8") as lines:
        order = json.loads(lines.readline(_LONGEST_ORDER))
    try:
        chosen = gather(SETTINGS, [Said(*each) for each in order["said"]])
        asyncio.run(Tethered(server_of(chosen, find_home(), order["owner_digest"]), order["owner"], sock).run())
    except PodiumError as error:
        _say(sock, {"failed": type(error).__name__, "message": error.message, "facts": vars(error)})
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder of somebody else's: what the system says of which file is all there is to say.
        message = f"{error.filename or 'the system says'}: {error.strerror or error}"
        _say(sock, {"failed": "Unavailable", "message": message, "facts": {"retry_after_s": 1.0}})
        sys.exit(1)
    finally:
        if order["remove"]:
            shutil.rmtree(order["remove"], ignore_errors=True)


def _say(sock: socket.socket, said: dict[str, Any]) -> None:
    try:
        sock.sendall(json.dumps(said).encode() + b"\n")
    except OSError:
        # The owner is gone, and hears nothing any more.
        return


if __name__ == "__main__":
    main()
