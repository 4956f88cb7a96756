"""Which history: the one that somebody names, else the file in PODIUM_HOME."""

from podium.errors import Misconfigured
from podium.monitoring.store.contract import MonitorHistory
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.settings.home import Home

_TIMEOUT_S = 5.0


def address_in(descriptor: int | None) -> str | None:
    """The address that a supervisor hands its children: no command line shows it. None where it was told none."""
    if descriptor is None:
        return None
    with open(descriptor, encoding="utf-8") as file:
        return file.read() or None


def history_of(home: Home, said: str | None, busy_timeout_s: float = 2.0, most: int = 1) -> MonitorHistory:
    """Opens nothing yet.

    Args:
        home: PODIUM_HOME.
        said: `postgresql://USER@HOST/DATABASE`; None: `monitor.db` there.
        busy_timeout_s: How long the file is waited for while others write.
        most: Connections to a database at a time.

    Raises:
        Misconfigured: It is no such address.
        MissingDependency: The driver is not installed.
    """
    if said is None:
        return MonitorStore(home.monitor, busy_timeout_s)
    if "://" not in said:
        raise Misconfigured(
            "What is said of the monitor store is no address of a database: write postgresql://USER@HOST/DATABASE. Where "
            f"nothing is said, history is kept in {home.monitor}."
        )
    return PostgresqlHistory(said, _TIMEOUT_S, most)
