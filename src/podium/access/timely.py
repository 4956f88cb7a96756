"""HTTP answers that have come when their time is over: a pause has a limit in Python's client, a whole answer has none.

Whoever sends a byte now and then, or one `100 Continue` after the other, would hold whoever asked for as long as they like.
"""

import http.client
import io
import socket
import time
from functools import partial
from typing import Any, cast


class TimelyConnection(http.client.HTTPConnection):
    """A client's connection whose answers come in time.

    Args:
        host: And maybe `:port`.
        whole_s: For an answer, head and body together, from when it is waited for; then reads raise TimeoutError.
        others: Of the base.
    """

    def __init__(self, host: str, *others: Any, whole_s: float, **named: Any) -> None:
        super().__init__(host, *others, **named)
        self.response_class = cast("Any", partial(_TimelyAnswer, whole_s))


class TimelySecureConnection(http.client.HTTPSConnection):
    """The same by TLS, whose handshake has the connection's time-out as a whole."""

    def __init__(self, host: str, *others: Any, whole_s: float, **named: Any) -> None:
        super().__init__(host, *others, **named)
        self.response_class = cast("Any", partial(_TimelyAnswer, whole_s))


class _TimelyAnswer(http.client.HTTPResponse):
    def __init__(self, whole_s: float, sock: socket.socket, *others: Any, **named: Any) -> None:
        super().__init__(sock, *others, **named)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Until(raw, sock, whole_s))


class _Until(io.RawIOBase):
    """What a socket says, for so long.

    Args:
        raw: Reads from it.
        sock: Waits for what is left of the time, or its own time-out where that is shorter.
        whole_s: Seconds from now.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, whole_s: float) -> None:
        self._raw = raw
        self._sock = sock
        self._pause_s = sock.gettimeout()
        self._whole_s = whole_s
        self._ends = time.monotonic() + whole_s

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """As any raw file's."""
        left_s = self._ends - time.monotonic()
        try:
            if left_s > 0:
                self._sock.settimeout(left_s if self._pause_s is None else min(left_s, self._pause_s))
                return cast("int | None", self._raw.readinto(buffer))
        except TimeoutError:
            if time.monotonic() < self._ends:
                raise
        finally:
            # A connection that is kept sends the next request with it.
            self._sock.settimeout(self._pause_s)
        raise TimeoutError(f"the answer takes longer than {self._whole_s:g} s")

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
