"""What other threads ask of the loop: a queue whose arrival wakes the loop's epoll."""

import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podium.transport.messages import Message


@dataclass(frozen=True, slots=True)
class AttachLink:
    """Serve this gateway's data socket."""

    sock: socket.socket
    serial: int


@dataclass(frozen=True, slots=True)
class BeginDrain:
    """Finish what is queued, refuse what comes later, return."""


@dataclass(frozen=True, slots=True)
class CountRows:
    """Count the model's rows by the profile in this file, and tell where: the message and its descriptors."""

    profile: int
    tell: Callable[[Message, Sequence[int]], None]


Order = AttachLink | BeginDrain | CountRows


class Mailbox:
    """Orders for the loop. Any thread puts; only the loop takes."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._orders: deque[Order] = deque()

    def put(self, order: Order) -> None:
        self._orders.append(order)
        os.eventfd_write(self.descriptor, 1)

    def take(self) -> list[Order]:
        """Everything that was put, oldest first."""
        try:
            os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return []
        orders: list[Order] = []
        while self._orders:
            orders.append(self._orders.popleft())
        return orders
