"""The life of a replica: which states there are and which may follow which.

starting ──► ready ──► draining ──► stopped
    │          │          │
    └──────────┴──────────┴───────► failed
starting ──► stopped                (nobody wants it any more; it never held a request)
"""

from enum import StrEnum

from podium.errors import PodiumError


class ReplicaState(StrEnum):
    """Where a replica is in its life. Only a READY one may be in a routing table."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing follows; a new try is a new replica with a new id."""
        return self in {ReplicaState.STOPPED, ReplicaState.FAILED}


class IllegalTransition(PodiumError):
    """A replica was to enter a state that cannot follow its present one: a slip in podium itself."""

    def __init__(self, now: ReplicaState, to: ReplicaState) -> None:
        self.now = now
        self.to = to
        may = ", ".join(sorted(_NEXT[now])) or "nothing"
        super().__init__(f"A replica that is {now} cannot become {to}; what may follow is {may}.")


_NEXT: dict[ReplicaState, frozenset[ReplicaState]] = {
    ReplicaState.STARTING: frozenset({ReplicaState.READY, ReplicaState.STOPPED, ReplicaState.FAILED}),
    ReplicaState.READY: frozenset({ReplicaState.DRAINING, ReplicaState.FAILED}),
    ReplicaState.DRAINING: frozenset({ReplicaState.STOPPED, ReplicaState.FAILED}),
    ReplicaState.STOPPED: frozenset(),
    ReplicaState.FAILED: frozenset(),
}


def advance(now: ReplicaState, to: ReplicaState) -> ReplicaState:
    """Return `to`, if it may follow `now`.

    Raises:
        IllegalTransition: It may not.
    """
    if to not in _NEXT[now]:
        raise IllegalTransition(now, to)
    return to
