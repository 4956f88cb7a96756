"""What is, as the value that `plan` looks at."""

from collections.abc import Iterable

from podium.domain.planning import Journal, Observed, ObservedReplica
from podium.fleet.publisher import Publisher
from podium.fleet.workers.replica import WorkerReplica


def observe(
    endpoint: str, replicas: Iterable[WorkerReplica], publisher: Publisher, journal: Journal, now: float
) -> Observed:
    """A snapshot of one endpoint.

    A replica that was told to end before it was ready counts no more, though its process may linger.
    """
    living = tuple(
        ObservedReplica(replica.id, replica.version, replica.state)
        for replica in replicas
        if not replica.state.is_over and not replica.is_abandoned
    )
    return Observed(living, publisher.targets(endpoint), publisher.is_acknowledged(endpoint), journal, now)
