"""What is sent, what comes back, and whether it may be sent again. Pure: no socket, no clock, no randomness of its own.

A request is asked by a generator (`asked`): it yields what is to be done next, a `Send` or a `Pause`, and is sent what
became of it. Whoever runs it (`blocking.py`, `asynchronous.py`) does nothing but these two.

What is sent again, at most `ResendPatience.retries` times and only while the deadline allows:

    the server was not reached        nothing was sent
    429 or 503 with Retry-After       nothing was run
    no byte of an answer came         only a request that may run twice: a prediction, or a GET
"""

import enum
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from podium.domain.clients.request_terms import TIMEOUT
from podium.errors import DeadlineExceeded, Unavailable

TIMEOUT_HEADER = TIMEOUT.decode()
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_LONGEST_LOOK_S = 5.0
_AGAIN = frozenset({429, 503})
_UNREADY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """One request, however often it is sent.

    Args:
        method: GET or POST.
        path: After the server's address, percent-encoded.
        headers: By lower-case name; secrets may be among them, so that it has no repr.
        body: All of it.
        is_repeatable: Whether it may run twice.
        is_bounded: Whether the server is told how much time is left.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    is_repeatable: bool = True
    is_bounded: bool = True


@dataclass(frozen=True, slots=True)
class Send:
    """Send this and say what became of it, within `limit_s`."""

    request: ClientRequest
    headers: Mapping[str, str] = field(repr=False)
    limit_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Received:
    """A whole answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Loss(enum.Enum):
    """How far a request came that was not answered."""

    UNREACHED = "could not be reached"
    UNTRUSTED = "could not be trusted"
    UNANSWERED = "closed the connection before it answered"
    CUT = "closed the connection in the middle of its answer"
    LATE = "did not answer in time"


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer, and why: `reason` is the library's word for it."""

    loss: Loss
    reason: str


Outcome: TypeAlias = Received | Lost
Steps: TypeAlias = Generator[Send | Pause, Outcome | None, Received]


@dataclass(frozen=True, slots=True)
class ResendPatience:
    """How often a request is sent again: `retries` times at most."""

    retries: int = 3


def pause_before(outcome: Outcome, again: int, is_repeatable: bool, draw: float) -> float | None:
    """Seconds to wait before the request is sent again, or None where that is not safe or of no use.

    Args:
        outcome: Of the last time.
        again: How often it was sent again already.
        is_repeatable: Whether the request may run twice.
        draw: Evenly distributed in [0, 1), so that clients that failed together do not come back together.
    """
    jittered = draw * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * float(2**again))
    if isinstance(outcome, Received):
        wait_s = retry_after(outcome.headers) if outcome.status in _AGAIN else None
        return None if wait_s is None else wait_s + jittered
    if outcome.loss is Loss.UNREACHED or (outcome.loss is Loss.UNANSWERED and is_repeatable):
        return jittered
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` names; a date counts from the answer's own, so that no clock of ours is asked."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        then, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError):
        return None


def asked(
    request: ClientRequest,
    place: str,
    limit_s: float,
    patience: ResendPatience,
    clock: Callable[[], float],
    draw: Callable[[], float],
    spent_s: float = 0.0,
) -> Steps:
    """Ask until there is an answer that stands, of whatever status.

    Args:
        request: What is asked. Each time it is sent, it carries the time that is left.
        place: The server, for messages.
        limit_s: For everything together: tries, pauses, and the answer's last byte.
        patience: How often it is sent again.
        clock: Seconds, monotonic.
        draw: Evenly distributed in [0, 1).
        spent_s: How much of `limit_s` is over already.

    Raises:
        DeadlineExceeded: The time is up. Where the server said when to come back and that is too late, its own answer
            is returned instead.
        Unavailable: The server cannot be reached, or broke off.
    """
    deadline = clock() + limit_s - spent_s
    outcome: Outcome = Lost(Loss.LATE, "no time at all")
    for again in range(patience.retries + 1):
        left_s = deadline - clock()
        if left_s <= 0:
            break
        timeout = {TIMEOUT_HEADER: str(max(1, int(left_s * 1000)))} if request.is_bounded else {}
        heard = yield Send(request, {**request.headers, **timeout}, left_s)
        assert heard is not None
        outcome = heard
        pause_s = pause_before(outcome, again, request.is_repeatable, draw())
        if pause_s is None or again == patience.retries or clock() + pause_s >= deadline:
            break
        yield Pause(pause_s)
    if isinstance(outcome, Received):
        return outcome
    raise loss_as_error(outcome, place, limit_s)


def awaited(
    request: ClientRequest, place: str, limit_s: float, clock: Callable[[], float], draw: Callable[[], float]
) -> Steps:
    """Ask whether somebody is ready, until it is so, or is known not to become so.

    Args:
        request: The question; one that may be asked as often as one likes.
        place: The server, for messages.
        limit_s: For everything together.
        clock: Seconds, monotonic.
        draw: Evenly distributed in [0, 1).

    Returns: The first answer that says something else than "not yet".

    Raises:
        DeadlineExceeded: It was not ready in time; what was last seen is told, and is its cause where nobody answered.
        Unavailable: It cannot be trusted, which waiting does not change.
    """
    deadline, pause_s = clock() + limit_s, _FIRST_PAUSE_S
    seen_last: Outcome | None = None
    while True:
        look_s = min(max(deadline - clock(), _FIRST_PAUSE_S), _LONGEST_LOOK_S)
        outcome = yield Send(request, request.headers, look_s)
        assert outcome is not None
        if seen_last is not None and look_s < _LONGEST_LOOK_S and isinstance(outcome, Lost) and outcome.loss is Loss.LATE:
            outcome = seen_last  # Of the last look, which our own end cut short, nothing was seen.
        seen_last = outcome
        if isinstance(outcome, Received) and outcome.status not in _UNREADY:
            return outcome
        if isinstance(outcome, Lost) and outcome.loss is Loss.UNTRUSTED:
            raise loss_as_error(outcome, place, limit_s)
        wait_s = pause_s * (0.5 + draw() / 2)
        if clock() + wait_s >= deadline:
            cause = loss_as_error(outcome, place, limit_s) if isinstance(outcome, Lost) else None
            seen = f"it {outcome.loss.value}: {outcome.reason}" if isinstance(outcome, Lost) else f"HTTP {outcome.status}"
            raise DeadlineExceeded(f"{place} was not ready within {limit_s:g} s; at last: {seen}.") from cause
        yield Pause(wait_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def loss_as_error(lost: Lost, place: str, limit_s: float) -> DeadlineExceeded | Unavailable:
    """What a caller is told of a request that has no answer."""
    if lost.loss is Loss.LATE:
        return DeadlineExceeded(f"{place} did not answer within {limit_s:g} s ({lost.reason}).")
    return Unavailable(f"{place} {lost.loss.value}: {lost.reason}.")
