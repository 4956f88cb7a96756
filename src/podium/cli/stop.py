"""`podium stop`: drain and stop a running server."""

import os
import signal
import time

import click

from podium.cli.output import say
from podium.cli.servers import the_server
from podium.errors import Unavailable
from podium.fleet.host.machine import started_at
from podium.fleet.host.runfiles import find_servers
from podium.settings.home import find_home

_LOOK_S = 0.05
_SAY_S = 2.0


@click.command()
@click.option("-p", "--port", type=int, default=None, help="Which server, where several run.")
@click.option("--timeout", default=90.0, show_default=True, help="Seconds to wait for its end.")
def stop(port: int | None, timeout: float) -> None:
    """Let a running server finish its requests in flight, and wait until it has ended."""
    home = find_home()
    server = the_server(home, port)
    pid = int(server.facts["pid"])
    # The number alone may be a stranger's by now, or another container's.
    if started_at(pid) != server.facts["pid_started"]:
        raise Unavailable(f"The server's process {pid} is not to be seen from here; stop it where it was started.")
    os.kill(pid, signal.SIGTERM)
    started = said_at = time.monotonic()
    while any(other.id == server.id for other in find_servers(home)):
        now = time.monotonic()
        if now - started > timeout:
            raise Unavailable(
                f"Server {pid} still drains after {timeout:g} s. A second SIGTERM ends it at once: kill {pid}"
            )
        if now - said_at > _SAY_S:
            said_at = now
            say(f"server {pid} finishes its requests in flight", err=True)
        time.sleep(_LOOK_S)
    say(f"stopped {', '.join(server.endpoints)} ({server.facts['url']})")
