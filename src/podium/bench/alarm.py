"""A timer of microseconds for an event loop whose own timers are of milliseconds."""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class _Times(ctypes.Structure):
    """`struct itimerspec`: the interval, which stays zero, and when."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    )


class Alarm:
    """Calls `ring` once at the time that was set last, by the monotonic clock.

    Linux's timerfd where there is one; else the loop's timer, up to a millisecond late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop, self._ring = loop, ring
        self._descriptor = -1
        self._handle: asyncio.TimerHandle | None = None
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
        except (OSError, AttributeError):
            return
        if self._descriptor >= 0:
            loop.add_reader(self._descriptor, self._rang)

    def set(self, at_s: float) -> None:
        """Ring at this time; at once if it is past."""
        if self._descriptor < 0:
            if self._handle:
                self._handle.cancel()
            self._handle = self._loop.call_later(max(0.0, at_s - time.monotonic()), self._ring)
            return
        at_ns = max(1, int(at_s * 1e9))
        times = _Times(0, 0, at_ns // 1_000_000_000, at_ns % 1_000_000_000)
        self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(times), None)

    def close(self) -> None:
        """Ring no more."""
        if self._handle:
            self._handle.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _rang(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._ring()
