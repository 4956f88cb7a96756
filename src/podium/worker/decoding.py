"""A request's body to what the model takes, whichever protocol it is of, and who writes the answer."""

from typing import Any

from podium.errors import NotSupported
from podium.models.predictor import Predictor
from podium.protocols import tensors
from podium.protocols.contents import unpack_contents
from podium.protocols.generate import GenerateReader, GenerateWriter
from podium.protocols.large_inference import LargeWriter, read_large
from podium.protocols.mlflow import columnar
from podium.protocols.mlflow.codec import codec_for
from podium.protocols.mlflow.content_types import ARROW, NPY
from podium.protocols.tensor_inputs import TensorReader
from podium.protocols.tensor_outputs import FormedWriter, TensorWriter
from podium.transport.frames import RequestFrame
from podium.worker.inbox import Job


class Decoder:
    """Reads for one model.

    Args:
        predictor: The model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        signature = predictor.signature
        self._codec = codec_for(signature, predictor.dialect)
        self._tensors = TensorReader(signature)
        self._tensor_writer = TensorWriter(signature)
        self._generate = GenerateReader(signature, self._codec)
        self._generate_writer = GenerateWriter()

    def decode(self, job: Job, request: RequestFrame) -> None:
        """Give a job its data and params, enforced, and say who writes its answer and whether it comes in parts.

        A model that does not answer in parts answers a request for a stream of tensors with one.

        Raises:
            InvalidInput, UnsupportedContentType: Of the request.
            NotSupported: The model generates nothing.
        """
        # The first three are ours alone: gateways refuse them from clients (`serving/app.py`).
        if request.content_type == tensors.CONTENT_TYPE:
            given, head = tensors.decode_whole(request.body)
            reply, params = head.get("reply"), head.get("params")
            job.writer = self._tensor_writer if reply is None else FormedWriter(self._tensor_writer, reply)
            data = self._tensors.of([unpack_contents(each) if each.form else each for each in given])
        elif request.content_type == tensors.LARGE_TYPE:
            job.writer = self._tensor_writer
            given, params, about = read_large(request.body)
            job.writer = LargeWriter(self._tensor_writer, about)
            data = self._tensors.of(given)
        elif request.content_type == tensors.GENERATE_TYPE:
            if not self._predictor.is_streaming:
                raise NotSupported("This model does not generate: it has no predict_stream. Use infer or /invocations.")
            job.writer = self._generate_writer
            data, params = self._generate.read(request.body)
        else:
            data, params = self._decode_clients(job, request)
        job.data, job.params = self._predictor.enforce(data, params)
        job.is_stream = request.is_stream and self._predictor.is_streaming and job.writer is not None

    def _decode_clients(self, job: Job, request: RequestFrame) -> tuple[Any, Any]:
        """Data and params of a body as a client sent it to MLflow's paths."""
        kind, body = request.content_type, request.body
        if kind is not None and kind.startswith("application/"):
            kind, job.writer = columnar.without_answer(kind)
            if kind == NPY:
                return self._tensors.of([columnar.read_npy(body, self._tensors.only_name)]), None
            if kind == ARROW:
                return columnar.read_arrow(body), None
        decoded = self._codec.decode(body, kind)
        job.is_enveloped = decoded.is_enveloped
        return decoded.data, decoded.params
