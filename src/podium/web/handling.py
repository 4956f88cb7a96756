"""What lies between reading HTTP and answering it: who reads hands over each request with the way back for its answer."""

from collections.abc import Callable
from typing import Protocol

from podium.web.messages import Fault, Request, Response


class Exchange(Protocol):
    """One request's way back: a connection of ours (`web.protocol`), or somebody else's server (`serving.asgi`).

    Attributes:
        client: The other side's address, for logs.
        on_leave: Called once when the client leaves before its answer; whoever takes a request sets it.
    """

    client: str
    on_leave: Callable[[], None] | None

    @property
    def date(self) -> bytes:
        """The `date` header line for an answer that goes out now."""

    def answer(self, response: Response) -> None:
        """Answer the request; for a client that has left, nothing."""

    def answer_raw(self, data: bytes) -> bool:
        """Write a whole answer, head and body, as it is; whether that was done.

        Args:
            data: Of HTTP/1.1, with its length, `date` and without a `connection` header.

        Returns: False where the answer depends on more than its bytes, and `answer` has to give it: to HEAD, to
            HTTP/1.0, on a connection that closes, to a client that has left, under somebody else's server.
        """


class Handler(Protocol):
    """Who answers. Exactly one answer for each call, now or later, unless the client leaves before."""

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer a request."""

    def handle_fault(self, fault: Fault, exchange: Exchange) -> None:
        """Answer what could not be read; the connection closes after."""
