"""`python -m podium.dashboard`: the dashboard of a server, started by its supervisor with its socket inherited."""

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from podium.dashboard.process import DashboardOrder, serve
from podium.monitoring.store.opening import address_in
from podium.settings.home import Home


def main(arguments: list[str] | None = None) -> int:
    """Serve until the supervisor has ended; 0 then."""
    parser = argparse.ArgumentParser(prog="python -m podium.dashboard", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, help="socket pair's end: it hangs up when the server ends")
    parser.add_argument("--listen-fd", type=int, required=True, help="socket that listens")
    parser.add_argument("--home", type=Path, required=True, help="PODIUM_HOME")
    parser.add_argument("--address-fd", type=int, default=None, help="another monitor history's address; may be empty")
    parser.add_argument("--require-keys", action="store_true", help="ask for a key on this machine, too")
    parser.add_argument("--allow-changes", action="store_true", help="have pages that change something")
    parser.add_argument("--tls-cert", help="PEM file")
    parser.add_argument("--tls-key", help="PEM file")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the supervisor's business
    os.nice(5)  # who is served goes first
    threading.Thread(target=_end_with, args=(chosen.control_fd,), daemon=True, name="owner").start()
    with socket.socket(fileno=chosen.listen_fd) as sock:
        host, port = sock.getsockname()[:2]
        store = address_in(chosen.address_fd)
        terms = (chosen.require_keys, chosen.tls_cert, chosen.tls_key, store, chosen.allow_changes)
        order = DashboardOrder(Home(chosen.home), host, port, *terms)
        serve(order, sock)
    return 0


def _end_with(descriptor: int) -> None:
    """Nothing is ever said to us: the socket can be read when the supervisor has hung up."""
    with socket.socket(fileno=descriptor) as owner:
        owner.recv(1)
    # What it changes is one transaction each: there is nothing to finish.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
