"""What lies between reading HTTP and answering it: who reads hands over each request with the way back for its answer."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from podium.domain.clients.access import Peer
from podium.web.messages import Fault, Head, Request, Response


class RequestTerms(msgspec.Struct, frozen=True, gc=False):
    """On what terms one request is served; found out before it is taken.

    Args:
        principal: Who asks, as in `domain.clients.access.Principal`; empty where nobody was asked.
        endpoint: The one model that it was let in for; empty for none, None for any.
        timeout_s: The client waits no longer than this; None for as long as the server allows.
        is_low: It gives way to others when a bound is near.
        lines: Header lines that go with the answer, whatever it is.
    """

    principal: str = ""
    endpoint: str | None = None
    timeout_s: float | None = None
    is_low: bool = False
    lines: bytes = b""


NO_TERMS = RequestTerms()


class Exchange(Protocol):
    """One request's way back: a connection of ours (`web.protocol`), or somebody else's server (`serving.asgi`).

    Attributes:
        client: The address of whoever asks, for logs: the other side's, or the one that a trusted proxy names.
        on_leave: Called once when the client leaves before its answer; whoever takes a request sets it.
        terms: Of the request that waits for its answer; set before somebody takes it, and nobody's to change after.
    """

    client: str
    on_leave: Callable[[], None] | None
    terms: RequestTerms

    @property
    def lines(self) -> bytes:
        """Header lines of an answer that goes out now and as it is: the `date`, and what its terms say."""

    def answer(self, response: Response) -> None:
        """Answer the request; for a client that has left, nothing."""

    def answer_raw(self, data: bytes) -> bool:
        """Write a whole answer, head and body, as it is; whether that was done.

        Args:
            data: Of HTTP/1.1, with its length, `lines` and without a `connection` header.

        Returns: False where the answer depends on more than its bytes, and `answer` has to give it: to HEAD, to
            HTTP/1.0, on a connection that closes, to a client that has left, under somebody else's server.
        """


class PartsTaker(Exchange, Protocol):
    """An exchange of a request whose answer may come in parts; `answer` ends it, or is all there is.

    Attributes:
        on_taken: Told how many parts more were taken off our hands: only as many are made as are taken.
    """

    on_taken: Callable[[int], None] | None

    def take(self, content_type: str, body: bytes, headers: bytes) -> None:
        """Take one part; with the header lines that say whose it is."""


class Arrival(Exchange, Protocol):
    """An exchange as whoever reads HTTP hands it over. It can also be answered in parts: `begin`, `send` …, `end`.

    Attributes:
        peer: The other side of the connection, whatever its requests say.
        on_room: Called when the client takes parts again after `send` said that it does not.
    """

    peer: Peer
    on_room: Callable[[], None] | None

    def begin(self, response: Response) -> None:
        """Say the head of an answer in parts; its body is the first of them, if there is one."""

    def send(self, data: bytes) -> bool:
        """Say one part, not empty. False when the client does not keep up; the part is taken all the same."""

    def end(self) -> None:
        """Say that the answer is over."""


class Handler(Protocol):
    """Who answers. Exactly one answer for each call, now or later, unless the client leaves before."""

    def handle(self, request: Request, exchange: Arrival) -> None:
        """Answer a request."""

    def turns_away(self, head: Head, peer: Peer) -> bool:
        """Whether a request is refused for who asks, whatever its body is: then nobody reads or unpacks that."""

    def turn_away(self, request: Request, exchange: Arrival) -> None:
        """Refuse a request of which `turns_away` said so; never anything else, for its body is not there."""

    def handle_fault(self, fault: Fault, exchange: Exchange) -> None:
        """Answer what could not be read; the connection closes after."""
