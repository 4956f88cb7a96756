"""An answer in parts: what is asked, and server-sent events as the parts that a model yielded. No socket, no clock."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.client.calls import ServerPlace, error_in
from podium.client.exchanges import ClientRequest, Received
from podium.domain.frames import is_frame
from podium.errors import InvalidInput, PodiumError

EVENTS = "text/event-stream"
_MOST_BYTES = 64 << 20  # of one part
_ABOUT = frozenset({"model_name", "model_version", "id"})


@dataclass(frozen=True, slots=True)
class Prompt:
    """One input for a model that answers in parts.

    Args:
        place: The server.
        data: Text; or the model's inputs by name, in a dict or a DataFrame of one row.
        model: Which one.
        params: The model's params.
        request_id: As for `PredictionCall`.
        is_bounded: Whether all parts together have a deadline; else each of them has the server's.
    """

    place: ServerPlace
    data: Any = field(repr=False)
    model: str
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    request_id: str | None = None
    is_bounded: bool = False

    def request(self) -> ClientRequest:
        """What is sent.

        Raises:
            InvalidInput: The data is no such input, or has no form in JSON.
        """
        from podium.client.values import plain_value

        body = {**self._inputs(), **({} if self.params is None else {"parameters": dict(self.params)})}
        try:
            text = json.dumps(body, default=plain_value).encode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"The input cannot be written as JSON: {error}") from error
        path = self.place.generate_stream(self.model)
        return self.place.request(path, text, request_id=self.request_id, is_bounded=self.is_bounded)

    def _inputs(self) -> dict[str, Any]:
        data = self.data
        if isinstance(data, str):
            return {"text_input": data}
        if isinstance(data, Mapping):
            return dict(data)
        if is_frame(data) and len(data) == 1:
            record: dict[str, Any] = data.to_dict("records")[0]
            return record
        rows = f" of {len(data)} rows" if is_frame(data) else ""
        raise InvalidInput(
            f"A model answers one input in parts: expected text, a dict of the model's inputs by name, or a DataFrame of "
            f"one row; got {type(data).__name__}{rows}."
        )


class EventParts:
    """Reads events out of bytes as they come.

    Args:
        received: The answer's head.

    Raises:
        PodiumError: What the server answered instead of events.
    """

    def __init__(self, received: Received) -> None:
        if received.status != 200:
            raise error_in(received)
        kind = received.headers.get("content-type", "none")
        if kind.partition(";")[0].strip().lower() != EVENTS:
            raise PodiumError(f"The server answered with {kind} instead of {EVENTS}; is it podium's?")
        self._headers = received.headers
        self._line, self._event = bytearray(), bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The parts that are whole now.

        Raises:
            PodiumError: The event of an error; or what is no event of podium's.
        """
        self._line += data
        if len(self._line) + len(self._event) > _MOST_BYTES:
            raise PodiumError(f"A part of the answer has more than {_MOST_BYTES} bytes, and is not read further.")
        if b"\n" not in data:
            return  # Looked into once, when it is whole: a part of megabytes comes in hundreds of pieces.
        *lines, rest = self._line.split(b"\n")
        self._line = bytearray(rest)
        for line in lines:
            field_name, _, value = line.rstrip(b"\r").partition(b":")
            if field_name == b"data":
                self._event += value.removeprefix(b" ")
            elif not field_name and not value and self._event:
                told, self._event = bytes(self._event), bytearray()
                yield self._part(told)

    def _part(self, told: bytes) -> Any:
        try:
            part = json.loads(told)
        except ValueError as error:
            raise PodiumError(f"A part of the answer is not JSON: {error}") from error
        if not isinstance(part, dict):
            raise PodiumError("A part of the answer is no JSON object; is the server podium's?")
        if "error" in part and "model_name" not in part:
            raise error_in(Received(500, self._headers, told))
        values = {name: value for name, value in part.items() if name not in _ABOUT}
        only = next(iter(values)) if len(values) == 1 else None
        return values[only] if only in {"text_output", "output"} else values
