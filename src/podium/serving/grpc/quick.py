"""A call of `ModelInfer` that goes as records, as far as it can: it shares its frame with whoever else asks at the time."""

import asyncio
from typing import TYPE_CHECKING, Any

from podium.protocols.mlflow.fast_packing import Packed
from podium.protocols.tensors import encode_tensors
from podium.serving.grpc.calls import Call
from podium.serving.grpc.large import IN_FIELDS
from podium.serving.grpc.tensors import AskedTensors
from podium.serving.walks.replica import Replica
from podium.web.handling import Exchange
from podium.web.messages import Head, Request, Response

if TYPE_CHECKING:
    from podium.serving.grpc.inference import Inference


class QuickCall(Call):
    """A call's way back, and its detour (`serving.walks.walk.Detour`) where it takes one.

    Args:
        inference: Takes it on the long way, knows what answers look like and writes them.
        message: What was asked.
        client, answered: As in `Call`.

    Attributes:
        head, asked: Of the request, once it is read.
        is_made: The answer's body is the client's whole message.
    """

    __slots__ = ("_form", "_inference", "_message", "asked", "head", "is_made")

    asked: AskedTensors
    head: Head

    def __init__(self, inference: "Inference", message: Any, client: str, answered: "asyncio.Future[Response]") -> None:
        super().__init__(client, answered)
        self._inference = inference
        self._message = message
        self.is_made = False

    @property
    def answers_to(self) -> Exchange:
        return self

    @property
    def says_fields(self) -> bool:
        return False  # what it has for a body is the tensors' bytes alone

    @property
    def wants_tensors(self) -> bool:
        return self.asked.is_raw

    def read(self, replica: Replica) -> Packed | None:
        asked, known = self.asked, self._inference.shapes.of(replica, self._message.model_name)
        if known is None or asked.params:
            return None
        self._form, _, records = known
        if asked.outputs and asked.outputs != [self._form.name]:
            return None
        return records.of(asked.tensors)

    def start(self) -> None:
        self._inference.start(self.asked, self.head, self, self._message.model_name)

    def request(self) -> Request:
        reply = None if self.asked.is_raw else IN_FIELDS
        return Request(self.head, encode_tensors(self.asked.tensors, self.asked.params, reply))

    def made_of(self, version: str, body: bytes, rows: int, form: int) -> bytes:
        known = self._form
        output = known.output(body, rows, form)
        if output is None:
            self._inference.shapes.doubt(self._message.model_name, version, known)
            return b""
        known.misses = 0
        self.is_made = True
        return self._inference.written(self._message, version, output, self.asked.is_raw)
