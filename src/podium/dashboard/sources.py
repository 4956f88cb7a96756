"""Where the screens read from: running servers by their files, the registry, rollouts, environments. They write nothing."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from podium.api.registering import Registry
from podium.api.rolling import Rollouts, RolloutStatus
from podium.domain.monitoring.alerting.alerts import Alert
from podium.environments.kept import KeptEnvironment, kept
from podium.errors import NotFound, PodiumError
from podium.fleet.host.runfiles import RunningServer, find_dead, find_servers
from podium.monitoring.store.alerts import book_of
from podium.monitoring.store.contract import MonitorHistory
from podium.monitoring.store.database import MonitorStore
from podium.registry.contract import RegisteredModel, Version
from podium.settings.home import Home

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServedEndpoint:
    """An endpoint of a running server.

    Args:
        server: Whose.
        name: Its public name.
        facts: As in `fleet.telling.status`.
    """

    server: RunningServer
    name: str
    facts: dict[str, Any]

    @property
    def port(self) -> int:
        """Where its server listens."""
        return int(self.server.facts.get("port") or 0)

    @property
    def registered(self) -> str | None:
        """The registered model that it serves, by its URI; None where it serves something else."""
        uri = str(self.facts.get("uri") or "")
        if not uri.startswith("models:/") or uri.startswith("models:/m-"):
            return None
        return uri.removeprefix("models:/").partition("/")[0].partition("@")[0] or None


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a source said, or why it said nothing: one that fails must not take the others' panels with it."""

    value: T
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class DashboardSources:
    """All of them.

    Args:
        home: PODIUM_HOME.
        clock: Seconds of the Unix epoch.
        history: The monitor's; None: the file in PODIUM_HOME.
    """

    home: Home
    clock: Callable[[], float] = field(default=time.time)
    history: MonitorHistory | None = None

    @property
    def registry(self) -> Registry:
        return Registry(self.home, busy_timeout_s=2.0)

    def servers(self) -> list[RunningServer]:
        """Those that live under this home, oldest first."""
        return find_servers(self.home)

    def served(self) -> list[ServedEndpoint]:
        """Every endpoint of every server."""
        return list(_served(self.servers()))

    @property
    def monitor(self) -> MonitorHistory:
        """What was counted and found; read only."""
        return self.history or MonitorStore(self.home.monitor, busy_timeout_s=1.0)

    def firing(self) -> Answer[list[Alert]]:
        """Alerts that fire now, pages first; none where nobody watches."""

        def read() -> list[Alert]:
            try:
                with self.monitor.reading() as connection:
                    return book_of(connection).firing()
            except NotFound:
                return []

        return told(read, list[Alert]())

    def dead(self) -> list[str]:
        """Servers that ended without taking their folders away."""
        return find_dead(self.home)

    def rollouts(self) -> Answer[list[RolloutStatus]]:
        """The newest of each stage and alias of every model."""
        return told(Rollouts(self.home).newest, list[RolloutStatus]())

    def models(self) -> Answer[list[RegisteredModel]]:
        """All that are registered, by name."""
        return told(self.registry.models, list[RegisteredModel]())

    def versions(self) -> Answer[list[Version]]:
        """Of all registered models."""
        return told(self.registry.versions, list[Version]())

    def environments(self) -> Answer[list[KeptEnvironment]]:
        """Those that were built, last used first."""
        return told(lambda: kept(self.home.environments), list[KeptEnvironment]())


def told(read: Callable[[], T], otherwise: T) -> Answer[T]:
    """What a source says; of one that fails, what to show in its place and why."""
    try:
        return Answer(read())
    except PodiumError as error:
        return Answer(otherwise, error.message)
    except OSError as error:
        return Answer(otherwise, f"{error.filename or 'the system'}: {error.strerror or error}")


def _served(servers: Sequence[RunningServer]) -> Iterator[ServedEndpoint]:
    for server in servers:
        for name, facts in server.endpoints.items():
            yield ServedEndpoint(server, name, facts)
