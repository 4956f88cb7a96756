"""One prediction that is asked for: its data as a request's body, and its answer as Python values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.client.calls import VERSION_HEADER, Answer, Place, error_in
from podium.client.exchanges import Received, Request
from podium.errors import PodiumError


@dataclass(frozen=True, slots=True)
class Call:
    """A prediction of one server.

    Args:
        place: The server.
        data: As for `Client.predict`; or bytes, a body that goes as it is.
        model: Which one.
        version: Which one of that.
        params: The model's params.
        content_type: Of data that is bytes.
    """

    place: Place
    data: Any = field(repr=False)
    model: str | None = None
    version: str | None = None
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    content_type: str = "application/json"

    def request(self) -> Request:
        """What is sent.

        Raises:
            InvalidInput: The data has no form in the protocol.
            Misconfigured: The version is none.
        """
        path, version = self.place.invocations(self.model), None if self.version is None else str(self.version)
        if isinstance(self.data, bytes) and self.params is None:
            return self.place.request(path, self.data, self.content_type, version)
        from podium.client.values import request_of

        return self.place.request(path, request_of(self.data, self.params), version=version)

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
        )

    def value_of(self, received: Received) -> Any:
        """The predictions of the answer, as `Client.predict` says.

        Raises:
            PodiumError: What the server answered instead.
        """
        from podium.client.values import answer_of

        return answer_of(self.answer_of(received).body, self.data, None)
