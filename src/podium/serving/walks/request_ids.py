"""Names for requests, by which answers, logs and workers speak of them."""

import os
import re

from podium.web.messages import Request

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@\-]{1,128}")


class RequestIds:
    """Ids for requests that bring none: unlike those of every other process, and cheap."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex()
        self._count = 0

    def of(self, request: Request) -> str:
        """The client's `X-Request-ID` where it is harmless in a log, else a new one."""
        theirs = request.header(b"x-request-id")
        if theirs is not None and _SANE_ID.fullmatch(theirs):
            return theirs
        return self.new()

    def new(self) -> str:
        """An id that nobody else has."""
        self._count += 1
        return f"{self._prefix}{self._count:08x}"
