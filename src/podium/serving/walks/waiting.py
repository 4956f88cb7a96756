"""The line of requests that wait while no replica can take them: bounded in requests, bytes and time."""

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from podium.domain.clients.admission import AdmissionRefusal, Bounds, admit


class Waiter(Protocol):
    """What can stand in the line."""

    @property
    def body_size(self) -> int: ...


W = TypeVar("W", bound=Waiter)


class WaitingLine(Generic[W]):
    """First come, first served.

    Args:
        bounds: How many, and how many bytes of bodies together.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._until: dict[W, float] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._until)

    def join(self, waiter: W, until: float) -> AdmissionRefusal | None:
        """Stand at the end until a time; the refusal where the line is full."""
        refusal = admit(len(self._until), self._bytes, waiter.body_size, self._bounds)
        if refusal is None:
            self._until[waiter] = until
            self._bytes += waiter.body_size
        return refusal

    def leave(self, waiter: W) -> None:
        """Go; nothing happens to one who does not stand here."""
        if self._until.pop(waiter, None) is not None:
            self._bytes -= waiter.body_size

    def serve(self, take: Callable[[W], bool]) -> None:
        """Offer each its turn, first come first; who is taken leaves, and the first who is not ends it."""
        for waiter in list(self._until):
            if waiter in self._until:
                if not take(waiter):
                    return
                self.leave(waiter)

    def expired(self, now: float) -> Iterator[W]:
        """Those whose time is up, oldest first; they leave."""
        for waiter in [waiter for waiter, until in self._until.items() if until <= now]:
            self.leave(waiter)
            yield waiter
