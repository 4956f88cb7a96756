"""Whether a request is taken: bounds on what one gateway holds at a time, and each model's part of them. Pure."""

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


class AdmissionRefusal(Enum):
    """Why a request is not taken."""

    REQUESTS = "as many requests are waiting as are taken at a time"
    BODY_BYTES = "the requests that wait hold as many bytes as are taken at a time"
    LOW = "requests of low priority are not taken while it is half full"
    SHARE = "this model's requests hold its share of what is taken at a time"
    KEY = "as many requests of this key are waiting as are taken at a time"
    MODEL = "as many requests for this model are waiting as are taken at a time"


def admit(held_requests: int, held_bytes: int, body_bytes: int, bounds: Bounds) -> AdmissionRefusal | None:
    """Say whether one more request is taken; None says yes.

    Never lets the count pass `bounds.requests`; lets the bytes pass `bounds.body_bytes` only for a request that is alone.

    Args:
        held_requests: Held now, without this one.
        held_bytes: Their bodies together.
        body_bytes: This one's body.
        bounds: The bounds.
    """
    if held_requests >= bounds.requests:
        return AdmissionRefusal.REQUESTS
    if held_requests and held_bytes + body_bytes > bounds.body_bytes:
        return AdmissionRefusal.BODY_BYTES
    return None


def admit_share(
    held_requests: int, held_bytes: int, own_requests: int, own_bytes: int, body_bytes: int, bounds: Bounds
) -> AdmissionRefusal | None:
    """Say whether one more request of one model among several is taken, where `admit` takes it.

    A model may hold as much as all leave free (dynamic thresholds after Choudhury and Hahne, IEEE/ACM Transactions on
    Networking 6(2), 1998): alone in its flood it takes half of everything, two of them a third each, and there is always
    room for one that holds nothing.

    Args:
        held_requests: Held now for all models, without this one.
        held_bytes: Their bodies together.
        own_requests: Of these, those of the request's model.
        own_bytes: Their bodies together.
        body_bytes: This one's body.
        bounds: Those of `admit`.
    """
    if own_requests and own_requests >= bounds.requests - held_requests:
        return AdmissionRefusal.SHARE
    if own_requests and own_bytes + body_bytes > bounds.body_bytes - held_bytes:
        return AdmissionRefusal.SHARE
    return None
