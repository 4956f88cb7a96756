"""Finding the running server that a command is about, without guessing between two."""

import contextlib
import os

from podium.errors import Misconfigured, NotFound
from podium.fleet.host.runfiles import RunningServer, find_servers
from podium.settings.home import Home


def the_server(home: Home, port: int | None) -> RunningServer:
    """The only running server, or the one on this port.

    Raises:
        NotFound: None runs, or none on this port.
        Misconfigured: Several run; lists them.
        PermissionError: This user may not look.
    """
    running = find_servers(home)
    chosen = [server for server in running if port is None or server.facts.get("port") == port]
    if len(chosen) == 1:
        return chosen[0]
    listed = "".join(f"\n  -p {server.facts['port']}  {server.uris}  pid {server.facts['pid']}" for server in running)
    if chosen:
        raise Misconfigured(f"{len(chosen)} servers run under {home.root}; say which one with -p PORT:{listed}")
    if running:
        raise NotFound(f"No server of {home.root} listens on port {port}. These run:{listed}")
    with contextlib.suppress(FileNotFoundError):
        # A folder that this user may not read may hold servers: that is what to say then, and PermissionError says it.
        os.listdir(home.run)
    raise NotFound(
        "No server runs. Start one with: podium serve -m models:/NAME/production", [f"{home.run}: no living server"]
    )
