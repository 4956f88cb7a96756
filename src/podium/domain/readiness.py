"""When a server with several endpoints says that it is ready: what balancers and probes go by. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outlook:
    """How one endpoint stands.

    Args:
        serves: Some version of it answers now, or it sleeps and would wake for a request.
        is_hopeless: None ever did, and none will until something else is wanted: see `rollout.is_hopeless`.
    """

    serves: bool
    is_hopeless: bool = False


def is_ready(outlooks: Iterable[Outlook], was_ready: bool, *, may_be_empty: bool = False) -> bool:
    """Whether the server is to be sent requests.

    At the start only once it is decided of each endpoint whether it serves: a balancer that came earlier would get errors
    for those that still load. From then on as long as any endpoint serves: one model's trouble takes nobody else's away.

    Args:
        outlooks: Of each endpoint.
        was_ready: Whether this was ever true before.
        may_be_empty: Whether the server is there to be told what to load, hence ready also while it serves nothing.
    """
    if was_ready:
        # At every table that is sent: of a thousand outlooks the first that serves is enough.
        return may_be_empty or any(outlook.serves for outlook in outlooks)
    known = list(outlooks)
    is_decided = all(outlook.serves or outlook.is_hopeless for outlook in known)
    if may_be_empty:
        return is_decided
    return any(outlook.serves for outlook in known) and is_decided
