"""The dashboard's process, as the supervisor has it: started where somebody asked for it, and started again when it dies.

The supervisor holds its listening socket, so that its port is had before anything is served, and kept whatever becomes of
the process. It only reads: nothing waits for it, and its end takes nothing with it.
"""

import socket
from pathlib import Path

from podium.fleet.companion import Companion
from podium.fleet.host import ports
from podium.fleet.host.logs import dashboard_log
from podium.fleet.host.memory_files import as_file
from podium.fleet.site import Site
from podium.fleet.telling.events import Event
from podium.fleet.workers.children import Child, spawn


class DashboardPage:
    """The process and its socket.

    Args:
        site: The server's.

    Attributes:
        process: It, started again when it dies.

    Raises:
        Misconfigured: Its port is taken.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.process = Companion(site, "dashboard", dashboard_log(site.logs), self._start)
        port = site.settings.dashboard_port
        self._sock: socket.socket | None = None
        if port is not None:
            [self._sock] = ports.listen(site.settings.dashboard_host, port, 1)

    async def run(self) -> None:
        """Keep it alive until the server stops."""
        if self._sock is not None:
            self._site.tell(Event("dashboard", f"the dashboard is at {self._url(self._sock)}"))
            await self.process.run()

    async def close(self) -> None:
        """End it."""
        await self.process.close(0.0)
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _url(self, sock: socket.socket) -> str:
        host, port = sock.getsockname()[:2]
        scheme = "http" if "--tls-cert" not in self._site.settings.dashboard_terms else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def _start(self, log: Path) -> Child:
        assert self._sock is not None
        said = self._site.settings
        module = (*self._site.programs.dashboard, "--home", str(self._site.home.root), *said.dashboard_terms)
        with as_file(said.monitor_store or "") as address:
            return spawn(module, {"--listen-fd": self._sock.fileno(), "--address-fd": address}, log)
