"""One prediction that is asked for: its data as a request's body, and its answer as Python values."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from podium.client.calls import VERSION_HEADER, Answer, ServerPlace, error_in
from podium.client.exchanges import ClientRequest, Received, Steps
from podium.errors import PodiumError

if TYPE_CHECKING:
    from podium.client.binary import KnownForms


@dataclass(frozen=True, slots=True)
class PredictionCall:
    """A prediction of one server.

    Args:
        place: The server.
        data: As for `Client.predict`; or bytes, a body that goes as it is.
        model: Which one.
        version: Which one of that.
        params: The model's params.
        content_type: Of data that is bytes.
        request_id: What the request is called; None makes one up.
    """

    place: ServerPlace
    data: Any = field(repr=False)
    model: str | None = None
    version: str | None = None
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    content_type: str = "application/json"
    request_id: str | None = None

    def request(self) -> ClientRequest:
        """What is sent.

        Raises:
            InvalidInput: The data has no form in the protocol.
            Misconfigured: The version or the id is none.
        """
        path, version = self.place.invocations(self.model), None if self.version is None else str(self.version)
        if isinstance(self.data, bytes) and self.params is None:
            return self.place.request(path, self.data, self.content_type, version, request_id=self.request_id)
        from podium.client.values import request_of

        body = request_of(self.data, self.params)
        return self.place.request(path, body, version=version, request_id=self.request_id)

    def steps(self, ways: "KnownForms | None", ask: Callable[[ClientRequest, float], Steps]) -> Steps:
        """Ask for it as bytes, as JSON, or as both one after the other: what a caller gets is the answer to JSON.

        Args:
            ways: What the client knows of the server; None where a prediction must not run twice, and all is JSON.
            ask: How one request is asked, and how many seconds of the call's time were spent before.

        Raises:
            InvalidInput, Misconfigured: As `request`.
        """
        from podium.client.binary import binary_of

        binary = binary_of(self.data) if self.params is None else None
        if binary is None or ways is None:
            return (yield from ask(self.request(), 0.0))
        begun, path, version = time.monotonic(), self.place.invocations(self.model), self.version
        kind = (path, binary.kind)
        body = binary.write() if ways.takes(kind) else None
        if body is None:
            received = yield from ask(self.request(), 0.0)
            ways.learn(kind, received, was_refused=False)
            return received
        asked = None if version is None else str(version)
        quick = self.place.request(path, body, binary.content_type, asked, request_id=self.request_id)
        received = yield from ask(quick, 0.0)
        if ways.stands(kind, received):
            return received
        was_refused, plain = received.status != 200, self.request()
        named = replace(plain, headers={**plain.headers, "x-request-id": quick.headers["x-request-id"]})
        received = yield from ask(named, time.monotonic() - begun)
        ways.learn(kind, received, was_refused)
        return received

    def answer_of(self, received: Received) -> Answer:
        """The answer as it came.

        Raises:
            PodiumError: What the server answered instead.
        """
        headers = received.headers
        if received.status != 200:
            raise error_in(received)
        if self.version is not None and headers.get(VERSION_HEADER) != str(self.version):
            got = headers.get(VERSION_HEADER, "one that it does not name")
            raise PodiumError(f"{self.place.url} answered with version {got}, and {self.version} was asked for.")
        return Answer(
            received.body,
            headers.get("content-type", ""),
            headers.get("x-podium-model", ""),
            headers.get("x-podium-version", ""),
            headers.get("x-request-id", ""),
            self.data,
        )

    def value_of(self, received: Received) -> Any:
        """The predictions of the answer, as `Client.predict` says.

        Raises:
            PodiumError: What the server answered instead.
        """
        return self.answer_of(received).predictions
