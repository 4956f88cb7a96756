"""One prediction that is asked for: its data as a request's body, and its answer as Python values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.client.calls import Answer, Place, error_in
from podium.client.exchanges import Received, Request


@dataclass(frozen=True, slots=True)
class Call:
    """A prediction of one server.

    Args:
        place: The server.
        data: As for `Client.predict`; or bytes, a body that goes as it is.
        model: Which one.
        version: Which one of that.
        params: The model's params.
    """

    place: Place
    data: Any = field(repr=False)
    model: str | None = None
    version: str | None = None
    params: Mapping[str, Any] | None = field(default=None, repr=False)

    def request(self) -> Request:
        """What is sent.

        Raises:
            InvalidInput: The data has no form in the protocol.
            Misconfigured: A version without its model.
        """
        from podium.client.values import request_of

        path = self.place.invocations(self.model, self.version)
        if isinstance(self.data, bytes) and self.params is None:
            return self.place.request(path, self.data)
        return self.place.request(path, request_of(self.data, self.params))

    def answer_of(self, received: Received) -> Answer:
        """The answer as it came.

        Raises:
            PodiumError: What the server answered instead.
        """
        headers = received.headers
        if received.status != 200:
            raise error_in(received)
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
