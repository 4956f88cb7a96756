"""A client's exchange for a request that takes the walk in another protocol's form: its answer is translated back."""

from collections.abc import Callable
from typing import Any

from podium.web.handling import Arrival
from podium.web.messages import Response

Translate = Callable[[Response], Response]


class InFront:
    """What a `web.handling.Exchange` in front of the client's passes on; how it answers is its own.

    Whoever is one sets both, in the call that makes it: another one would be made for each request.
    """

    __slots__ = ("_exchange", "client")

    _exchange: Arrival
    client: str

    @property
    def lines(self) -> bytes:
        return self._exchange.lines

    @property
    def on_leave(self) -> Callable[[], None] | None:
        return self._exchange.on_leave

    @on_leave.setter
    def on_leave(self, call: Callable[[], None] | None) -> None:
        self._exchange.on_leave = call


class WayBack(InFront):
    """An exchange that answers with a translation.

    Args:
        exchange: The client's.
        translate: Makes of the answer that scoring gives what the client gets; it must not raise.
        passes_raw: Whether whole answers with predictions may go to the client as they are.
    """

    __slots__ = ("_passes_raw", "_translate", "terms")

    def __init__(self, exchange: Arrival, translate: Translate, passes_raw: bool = False) -> None:
        self.client = exchange.client
        self.terms = exchange.terms
        self._exchange = exchange
        self._translate = translate
        self._passes_raw = passes_raw

    def answer(self, response: Response) -> None:
        """Answer with the translation."""
        self._exchange.answer(self._translate(response))

    def answer_raw(self, data: bytes) -> bool:
        """Pass a whole answer on, where nothing in it has to be translated."""
        return self._passes_raw and self._exchange.answer_raw(data)


class ArrivalWayBack(WayBack):
    """The same in front of a `web.handling.Arrival`, which it passes on to whoever takes one.

    Not what each request gets: of a class that answers for what it lacks, Python asks for all that it has the slow way.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)
