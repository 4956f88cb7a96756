"""Whether a request is taken: bounds on what one gateway holds at a time. Pure."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be held at a time.

    Args:
        requests: Count.
        body_bytes: Bodies together. One request alone is taken whatever its size: the limit on a body is another.
    """

    requests: int
    body_bytes: int


class Refusal(Enum):
    """Why a request is not taken."""

    REQUESTS = "as many requests are waiting as are taken at a time"
    BODY_BYTES = "the requests that wait hold as many bytes as are taken at a time"


def admit(held_requests: int, held_bytes: int, body_bytes: int, bounds: Bounds) -> Refusal | None:
    """Say whether one more request is taken; None says yes.

    Never lets the count pass `bounds.requests`; lets the bytes pass `bounds.body_bytes` only for a request that is alone.

    Args:
        held_requests: Held now, without this one.
        held_bytes: Their bodies together.
        body_bytes: This one's body.
        bounds: The bounds.
    """
    if held_requests >= bounds.requests:
        return Refusal.REQUESTS
    if held_requests and held_bytes + body_bytes > bounds.body_bytes:
        return Refusal.BODY_BYTES
    return None
