"""An answer in parts as server-sent events: each part one event as it comes, the last one an error where it broke off."""

import logging
from collections.abc import Callable

import msgspec

from podium.errors import InvalidInput
from podium.protocols.open_inference.problems import as_error, error_body
from podium.serving.open_inference.translated import InFront
from podium.web.handling import Arrival, RequestTerms
from podium.web.messages import Response, header_lines

_log = logging.getLogger("podium.gateway")

CONTENT_TYPE = "text/event-stream"
# Neither a cache nor nginx may wait for the end.
_UNHELD = header_lines(("cache-control", "no-cache"), ("x-accel-buffering", "no"))

Write = Callable[[str, bytes, bytes], bytes]
"""Makes one event's JSON, without a line feed, of a part's content type, its body and its header lines."""


class Events(InFront):
    """A `web.handling.PartsTaker` in front of the client's arrival.

    Whatever goes wrong before the first event is an answer with its own status; after it, an event `{"error": text}`.

    Args:
        arrival: The client's.
        write: Makes the events; whatever it raises as `InvalidInput` is the client's to know.
    """

    def __init__(self, arrival: Arrival, write: Write) -> None:
        self.client = arrival.client
        self._exchange = arrival
        self.on_taken: Callable[[int], None] | None = None
        self._write = write
        self._has_begun = False
        self._untaken = 0

    @property
    def terms(self) -> RequestTerms:
        return self._exchange.terms

    @terms.setter
    def terms(self, terms: RequestTerms) -> None:
        self._exchange.terms = terms

    def take(self, content_type: str, body: bytes, headers: bytes) -> None:
        """Send one part, and say when the client has room for more."""
        try:
            told = self._write(content_type, body, headers)
        except InvalidInput as error:
            self._break_off(400, error.message, headers)
            return
        except Exception:  # noqa: BLE001 - what a worker sends may be anything; one answer is nobody else's
            _log.exception("a part of an answer cannot be written")
            self._break_off(500, "Internal Server Error", headers)
            return
        self._untaken += 1
        if self._say(told, headers):
            self._take_room()
        else:
            self._exchange.on_room = self._take_room

    def answer(self, response: Response) -> None:
        """The end: of the events, or of a request that had none."""
        is_part = response.status == 200 and bool(response.body)
        if not self._has_begun and not (is_part or response.status == 204):
            self._exchange.answer(Response(response.status, as_error(response.body), headers=response.headers))
            return
        if is_part:  # of a model that does not answer in parts
            try:
                told = self._write(response.content_type, bytes(response.body), response.headers)
            except InvalidInput as error:
                self._exchange.answer(Response(400, error_body(error.message), headers=response.headers))
                return
            self._say(told, response.headers)
        elif response.status != 204:
            self._say(as_error(response.body), response.headers)
        elif not self._has_begun:
            self._begin(response.headers)
        self._exchange.end()

    def answer_raw(self, data: bytes) -> bool:  # noqa: ARG002
        """A whole answer is no event."""
        return False

    def _say(self, told: bytes, headers: bytes) -> bool:
        if not self._has_begun:
            self._begin(headers)
        return self._exchange.send(b"data: %s\n\n" % told)

    def _begin(self, headers: bytes) -> None:
        self._has_begun = True
        self._exchange.begin(Response(200, b"", CONTENT_TYPE, headers + _UNHELD))

    def _take_room(self) -> None:
        self._exchange.on_room = None
        count, self._untaken = self._untaken, 0
        if self.on_taken is not None and count:
            self.on_taken(count)

    def _break_off(self, status: int, text: str, headers: bytes) -> None:
        """Nobody can use what comes: tell the client and stop the model."""
        leave, self._exchange.on_leave = self._exchange.on_leave, None
        if self._has_begun:
            self._say(error_body(text), headers)
            self._exchange.end()
        else:
            self._exchange.answer(Response(status, error_body(text), headers=headers))
        if leave is not None:
            leave()


def object_of(body: bytes) -> dict[str, object]:
    """A body that was made as a JSON object by a worker."""
    told = msgspec.json.decode(body)
    return told if isinstance(told, dict) else {"output": told}
