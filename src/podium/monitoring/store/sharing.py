"""What servers that share a history leave there for each other: who tells people, and what each knows of its versions.

Each function is called within one transaction of `MonitorHistory.writing`, so that two never take the same thing at once.
"""

from dataclasses import dataclass

from podium.monitoring.store.contract import StoreConnection, put

_PUT_LEASE = put("leases", "name", "holder beat rank")
_PUT_VALUES = put("server_values", "server", "at json")
_TELLS = "tells"


@dataclass(frozen=True, slots=True)
class TellerLease:
    """Who tells people.

    Args:
        holder: A server.
        beat: Grows with each time that it was there. Clocks of several machines are not held beside each other.
        rank: Whether it has whom to tell: who has takes it from who has not.
    """

    holder: str
    beat: int
    rank: int


def lease_of(connection: StoreConnection) -> TellerLease | None:
    """As it is now; None: nobody holds it."""
    found = connection.execute("SELECT holder, beat, rank FROM leases WHERE name = ?", [_TELLS]).fetchone()
    return None if found is None else TellerLease(*found)


def put_lease(connection: StoreConnection, lease: TellerLease) -> None:
    """Take it, or say that its holder is there."""
    connection.execute(_PUT_LEASE, [_TELLS, lease.holder, lease.beat, lease.rank])


def end_lease(connection: StoreConnection, holder: str) -> None:
    """Give it up, if it is this one's."""
    connection.execute("DELETE FROM leases WHERE name = ? AND holder = ?", [_TELLS, holder])


def put_values(connection: StoreConnection, server: str, now: float, text: str) -> None:
    """What a server knows now."""
    connection.execute(_PUT_VALUES, [server, now, text])


def values_of(connection: StoreConnection) -> dict[str, tuple[float, str]]:
    """What each server knew last, and when by its own clock."""
    rows = connection.execute("SELECT server, at, json FROM server_values")
    return {server: (at, text) for server, at, text in rows}


def forget_values(connection: StoreConnection, server: str) -> None:
    """A server is no more."""
    connection.execute("DELETE FROM server_values WHERE server = ?", [server])
