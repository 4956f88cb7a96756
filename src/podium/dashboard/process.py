"""Running the site: the socket, TLS, keys, and uvicorn."""

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from podium.access.certificates import TlsFiles, context_of
from podium.dashboard.doors import Doorkeeper, is_loopback
from podium.dashboard.sources import DashboardSources
from podium.errors import Misconfigured, MissingDependency
from podium.fleet.host.ports import shown
from podium.monitoring.store.contract import MonitorHistory
from podium.monitoring.store.opening import history_of
from podium.serving.guard.known import KeysKnown
from podium.settings.home import Home

_WAIT_S = 5
_MOST_CONNECTIONS = 4
_NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "jinja2": "jinja2"}


@dataclass(frozen=True, slots=True)
class DashboardOrder:
    """How it runs.

    Args:
        home: PODIUM_HOME.
        host, port: Where it listens; port 0 takes a free one.
        requires_keys: Whether a key is asked for on loopback, too; from elsewhere it always is.
        tls_cert, tls_key: PEM files, both or none.
        allows_changes: Whether its pages may also change something.
        monitor_store: The database of the monitor's history; None: the file in PODIUM_HOME.
    """

    home: Home
    host: str = "127.0.0.1"
    port: int = 8080
    requires_keys: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None
    monitor_store: str | None = field(default=None, repr=False)
    allows_changes: bool = False

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Misconfigured("--tls-cert and --tls-key need each other: one of them is missing.")


def run(order: DashboardOrder, tell: Callable[[str], None]) -> None:
    """Listen and serve until told to end.

    Args:
        order: How.
        tell: Called with lines for people.

    Raises:
        MissingDependency: A library of the extra `dashboard` is not installed.
        Misconfigured: The port is taken, or a file or the monitor store's address cannot be used.
    """
    check_installed("podium dashboard")
    # Says what is wrong with its address, or not installed, before anything listens.
    _history(order)
    if order.tls_cert is not None and order.tls_key is not None:
        # Says what is wrong with them in podium's words.
        context_of(TlsFiles(order.tls_cert, order.tls_key))
    with _listening(order.host, order.port) as sock:
        is_https = order.tls_cert is not None
        tell(f"The dashboard of {order.home.root} is at {'https' if is_https else 'http'}://{shown(sock)}")
        if not is_loopback(order.host):
            tell("It asks for an API key with the scope read: podium keys create --scope read")
            if not is_https:
                tell("Keys and pages are sent without encryption: give --tls-cert and --tls-key, or put a proxy in front.")
        if order.allows_changes:
            asks = order.requires_keys or not is_loopback(order.host)
            who = "Whoever has a key with the scope admin" if asks else "Whoever uses this machine"
            tell(f"{who} can change what is registered and silence alerts there.")
        serve(order, sock)


def serve(order: DashboardOrder, sock: socket.socket) -> None:
    """Serve on a socket that listens, until told to end.

    Args:
        order: How.
        sock: Stays the caller's.
    """
    import uvicorn

    from podium.dashboard.app import site
    from podium.dashboard.connections import MOST, BoundedConnection

    asks = order.requires_keys or not is_loopback(order.host)
    keys = KeysKnown(order.home.keys) if asks else None
    # A stranger's page that has bent its name to this machine has no key and no cookie: where one is asked for, any name
    # will do, as that of a proxy in front.
    app = site(
        DashboardSources(order.home, history=_history(order)),
        Doorkeeper(keys, time.time),
        is_https=order.tls_cert is not None,
        is_local=not asks,
        allows_changes=order.allows_changes,
    )
    logging.basicConfig(level=logging.WARNING)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_WAIT_S,
        timeout_graceful_shutdown=_WAIT_S,
        limit_concurrency=MOST,
        http=BoundedConnection,
        ssl_certfile=order.tls_cert,
        ssl_keyfile=order.tls_key,
    )
    uvicorn.Server(config).run(sockets=[sock])


def check_installed(what: str) -> None:
    """See that the extra `dashboard` is installed.

    Args:
        what: Needs it, for people.

    Raises:
        MissingDependency: It is not.
    """
    from importlib.util import find_spec

    for module, library in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingDependency(library, what, "dashboard")


def _history(order: DashboardOrder) -> MonitorHistory:
    return history_of(order.home, order.monitor_store, busy_timeout_s=1.0, most=_MOST_CONNECTIONS)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise Misconfigured(f"{host}:{port} cannot be listened on: {reason}. Choose another: --port 0 is any.") from error
