"""What happened, one value each: the command line prints them, the supervisor's log keeps them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person would want to know.

    Args:
        kind: Stable name: `loading`, `serving`, `swapped`, `load_failed`, `worker_died`, `gateway_died`, `source_lost`,
            `source_back`, `nothing_wanted`, `wanted`, `environment`, `audit`, `drained`, `asleep`, `scaled`, `beside`,
            `given_up`, `rollout`, `pinned`, `disk_full`, `exporter_died`, `monitor_died`, `bootstrapped`, `dashboard`,
            `dashboard_died`, `cannot_open`, `ready`, `stopping`.
        text: One line for people.
        version: The version that it is about, where there is one.
        is_problem: Whether something went wrong.
        endpoint: The one that it is about; None where it is the whole server.
    """

    kind: str
    text: str
    version: str | None = None
    is_problem: bool = False
    endpoint: str | None = None
