"""What the supervisor and a fork server say to each other: see `worker/forking.py` and `fleet/workers/forks.py`.

supervisor → fork server   Preload, once; Fork (+ the worker's control socket, its board, its log)
fork server → supervisor   Preloaded, Forked; or Unforkable, after which it ends
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preload:
    """Import these, and say Preloaded, or Unforkable where something stands against a fork.

    Args:
        modules: Of libraries; podium's constants, never anything that a model says.
        threads: As in Load; set before anything is imported.
        is_hidden: As in Load; for the fork server and all that it forks.
        is_low_priority: Import at low priority because something is served meanwhile.
        is_awaited: Nothing of the model that it is begun for is: at a low priority that is not the lowest.
    """

    modules: list[str]
    threads: int = 1
    is_hidden: bool = False
    is_low_priority: bool = False
    is_awaited: bool = False


@dataclass(frozen=True, slots=True)
class Fork:
    """Fork a worker off, which is nobody's child but the supervisor's, and say Forked or Unforkable.

    Args:
        mark: `NAME=value`: the variable that all processes which it starts inherit, as long as that of the fork server.
    """

    mark: str


@dataclass(frozen=True, slots=True)
class Preloaded:
    """What could be imported is; from now on it forks.

    Args:
        import_s: How long that took.
    """

    import_s: float


@dataclass(frozen=True, slots=True)
class Forked:
    """A worker runs and waits for its Load message."""

    pid: int


@dataclass(frozen=True, slots=True)
class Unforkable:
    """No worker can be forked here.

    Args:
        reason: For people.
        is_lasting: Whether another fork server for the same would say the same.
    """

    reason: str
    is_lasting: bool
