"""`podium monitor copy`: a home's history, brought to the database that several servers share."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from podium.errors import InvalidInput
from podium.monitoring.store.copying import copy_history
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.postgresql import PostgresqlHistory
from podium.settings.home import Home, find_home
from podium.settings.monitor_store import monitor_store_said

_TIMEOUT_S = 60.0


class CopiedHistory(NamedTuple):
    """What was copied.

    Attributes:
        source: The file.
        target: The database, without a secret.
        rows: Of each table, as counted on both sides.
    """

    source: str
    target: str
    rows: dict[str, int]


def copy_monitor_history(
    store: str | None = None, *, home: Home | None = None, clock: Callable[[], float] = time.time
) -> CopiedHistory:
    """Copy `monitor.db` into an empty history in PostgreSQL: all of it, or nothing.

    Args:
        store: `postgresql://…`, where it is not what PODIUM_SERVE_MONITOR_STORE or podium.toml says.
        home: PODIUM_HOME, where nobody says otherwise.
        clock: Seconds since 1970.

    Raises:
        InvalidInput: Nobody says where to.
        Misconfigured: What is said is no such address.
        MissingDependency: The driver is not installed.
        Unavailable: A server still writes to the file.
        AlreadyExists: The database holds a history.
        NotFound: The file holds none.
        MonitorStoreError: One of them cannot be used.
    """
    address = store or monitor_store_said()
    if address is None:
        raise InvalidInput(
            "Say where the history is to be copied: --monitor-store postgresql://USER@HOST/DATABASE, as servers are told."
        )
    file = MonitorStore((home or find_home()).monitor)
    with closing(PostgresqlHistory(address, _TIMEOUT_S)) as target:
        return CopiedHistory(file.place, target.place, copy_history(file, target, clock()))
