"""The dashboard's process, as the supervisor has it: started where somebody asked for it, and started again when it dies.

The supervisor holds its listening socket, so that its port is had before anything is served, and kept whatever becomes of
the process. It only reads: nothing waits for it, and its end takes nothing with it.
"""

import asyncio
import socket
import time

from podium.domain.planning import Crashes, restart_at
from podium.fleet.bell import Bell
from podium.fleet.host import ports
from podium.fleet.host.logs import dashboard_log
from podium.fleet.host.machine import oom_kills
from podium.fleet.host.memory_files import as_file
from podium.fleet.site import Site
from podium.fleet.telling.events import Event
from podium.fleet.workers.causes import cause_of_death
from podium.fleet.workers.children import Child, spawn

_SURVIVED_S = 60.0
_LAST_S = 5.0


class DashboardPage:
    """The process and its socket.

    Args:
        site: The server's.

    Raises:
        Misconfigured: Its port is taken.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._child: Child | None = None
        self._is_stopping = False
        self._stopped = Bell()
        port = site.settings.dashboard_port
        self._sock: socket.socket | None = None
        if port is not None:
            [self._sock] = ports.listen(site.settings.dashboard_host, port, 1)

    @property
    def pids(self) -> set[int]:
        """Its process, while it lives."""
        return set() if self._child is None else {self._child.pid}

    async def run(self) -> None:
        """Keep it alive until the server stops."""
        crashes, sock = Crashes(0, 0.0), self._sock
        while sock is not None and not self._is_stopping:
            if not crashes.count:
                self._site.tell(Event("dashboard", f"the dashboard is at {self._url(sock)}"))
            born = time.monotonic()
            why = await self._live(sock)
            count = 1 if time.monotonic() - born >= _SURVIVED_S else crashes.count + 1
            crashes = Crashes(count, time.monotonic())
            if not self._is_stopping:
                self._site.tell(Event("dashboard_died", f"the dashboard died and is started again: {why}", is_problem=True))
            await self._stopped.until(lambda: self._is_stopping, restart_at(crashes, 1) - time.monotonic())

    async def close(self) -> None:
        """End it."""
        self._is_stopping = True
        self._stopped.ring()
        child = self._child
        if child is not None:
            child.kill()
            await child.ended
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _url(self, sock: socket.socket) -> str:
        host, port = sock.getsockname()[:2]
        scheme = "http" if "--tls-cert" not in self._site.settings.dashboard_terms else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def _live(self, sock: socket.socket) -> str:
        """One process, from its start to its end; why it ended."""
        before, log = oom_kills(), dashboard_log(self._site.logs)
        module = (*self._site.programs.dashboard, "--home", str(self._site.home.root), *self._site.settings.dashboard_terms)
        try:
            with as_file(self._site.settings.monitor_store or "") as address:
                child = spawn(module, {"--listen-fd": sock.fileno(), "--address-fd": address}, log)
        except OSError as error:
            return f"it could not be started: {error.strerror}"
        self._child = child
        try:
            while await child.receive() is not None:
                pass
            await asyncio.wait({child.ended}, timeout=_LAST_S)
        finally:
            child.kill()
            self._child = None
            status = await child.ended
            child.close()
        return cause_of_death(status, before, oom_kills(), str(log)).message
