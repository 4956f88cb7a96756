"""Requests of inference of the Open Inference Protocol, on two ways with one answer.

long    the body becomes tensors, which take the walk of every scoring request; those that come back become the answer
quick   the body becomes records of the model's input plan, and the answer is made of MLflow's text; taken where the
body fits the plan, and an answer of the long way has shown what those of this version look like
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from podium.errors import InvalidInput
from podium.protocols.mlflow.fast_packing import Packed
from podium.protocols.open_inference.problems import as_error, error_body
from podium.protocols.open_inference.quick_reading import Form, QuickReader
from podium.protocols.open_inference.requests import HEADER, Asked, read_json, read_length, read_mixed, read_raw
from podium.protocols.open_inference.responses import write
from podium.protocols.tensors import CONTENT_TYPE, LARGE_TYPE, Tensor, decode_tensors
from podium.serving.open_inference.translated import WayBack
from podium.serving.pages import Pages, Taker
from podium.serving.standing import Standing
from podium.serving.walks.replica import Replica
from podium.serving.walks.scoring import Scoring
from podium.serving.walks.ways import VERSION
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines

_log = logging.getLogger("podium.gateway")
_VERSION = b"x-podium-version: "
_LENGTH = HEADER.encode()
_MOST_BYTES = 1 << 20  # more JSON is left to the worker: here it would hold up everybody else
_MOST_VERSIONS = 64
_MOST_REPLICAS = 1024
_MOST_MODELS = 4096
# What a head says that only the long way looks at.
_SLOW = frozenset({_LENGTH, VERSION, b"x-request-id", b"content-encoding"})


class Inferring:
    """Takes requests of inference. Event loop's thread only.

    Args:
        scoring: Where they go as tensors.
        standing: Knows which versions serve, and what a model's inputs are.
        pages: Answers what cannot be read.
    """

    def __init__(self, scoring: Scoring, standing: Standing, pages: Pages) -> None:
        self._scoring = scoring
        self._standing = standing
        self._pages = pages
        self.shapes = Shapes()

    def find(self, head: Head, name: str, version: str | None = None) -> Taker:
        """Who takes all requests with this head."""
        read = self._reader(head, name)
        headers = {**head.headers, b"content-type": CONTENT_TYPE.encode()}
        inner = Head(head.method, head.path, head.query, headers)
        large = Head(head.method, head.path, head.query, {**headers, b"content-type": LARGE_TYPE.encode()})
        start, start_json, shapes, known = self._scoring.start, self._scoring.start_json, self.shapes, self.shapes.models

        def take(request: Request, exchange: Arrival) -> None:
            if version is not None and not self._is_there(request, exchange, name, version):
                return
            asked, body, sent = None, request.body, large
            if read is not read_json or len(body) <= _MOST_BYTES:
                try:
                    asked = read(body)
                    body, sent = asked.body(), inner
                except InvalidInput as error:
                    self._pages.answer(request, exchange, Response(400, error_body(error.message)))
                    return
            sent = self._standing.bound(sent, name, version)
            start(Request(sent, body), WayBack(exchange, partial(told, shapes, asked, name, version)), name)

        def take_quickly(request: Request, exchange: Arrival) -> None:
            if name not in known:
                take(request, exchange)
                return
            detour = Detour(self, request, exchange, inner, name, take)
            start_json(request, detour, name, detour)

        return take_quickly if version is None and _SLOW.isdisjoint(head.headers) else take

    def _is_there(self, request: Request, exchange: Arrival, name: str, version: str) -> bool:
        absence = self._standing.absence_of(name, version)
        if absence is not None:
            self._pages.answer(request, exchange, absence)
        return absence is None

    def _reader(self, head: Head, name: str) -> Callable[[bytes | bytearray], Asked]:
        """What reads the bodies behind this head."""
        said = head.headers.get(_LENGTH)
        if said is None:
            return read_json
        header = said.decode("latin-1")

        def read(body: bytes | bytearray) -> Asked:
            length = read_length(header)
            if length > _MOST_BYTES:
                raise InvalidInput(
                    f"The JSON part of a body with bytes has {length} bytes; expected at most {_MOST_BYTES}. "
                    "Send the data as binary tensors, or all of it as JSON without Inference-Header-Content-Length."
                )
            return read_mixed(body, header) if length else read_raw(body, self._inputs_of(name))

        return read

    def _inputs_of(self, name: str) -> Any:
        model = self._standing.model_of(name)
        return model["inputs"] if model is not None else ()


class Detour(WayBack):
    """A request that goes as records, and its client's exchange: a `serving.walk.Detour`.

    Args:
        inferring: Knows what answers look like.
        request: As the client sent it.
        exchange: The client's.
        inner: The head for the long way.
        name: The model's.
        take: Takes the request on the long way.
    """

    __slots__ = ("_form", "_id", "_inferring", "_inner", "_name", "_request", "_take")

    def __init__(
        self, inferring: Inferring, request: Request, exchange: Arrival, inner: Head, name: str, take: Taker
    ) -> None:
        self.client = exchange.client
        self.terms = exchange.terms
        self._exchange = exchange
        self._inferring = inferring
        self._request = request
        self._inner = inner
        self._name = name
        self._take = take
        self._id = b""

    def read(self, replica: Replica) -> Packed | None:
        known = self._inferring.shapes.of(replica, self._name)
        if known is None:
            return None
        self._form, reader = known
        found = reader.read(self._request.body)
        if found is None:
            return None
        packed, self._id = found
        return packed

    def start(self) -> None:
        self._take(self._request, self._exchange)

    def request(self) -> Request:
        return Request(self._inner, read_json(self._request.body).body())

    def made_of(self, version: str, body: bytes, rows: int) -> bytes:
        made = self._form.spliced(body, rows, self._id)
        if made is None:
            self._inferring.shapes.distrust(self._name, version)
        return made or b""

    def answer(self, response: Response) -> None:
        if response.status != 200:
            response = Response(response.status, as_error(response.body), headers=response.headers)
        elif response.content_type == CONTENT_TYPE:
            response = told(self._inferring.shapes, read_json(self._request.body), self._name, None, response)
        self._exchange.answer(response)

    def answer_raw(self, data: bytes) -> bool:
        return self._exchange.answer_raw(data)


class Shapes:
    """What is known of models' answers, by version, and who reads requests of their input plans.

    Attributes:
        models: By name and version what an answer looks like; None where MLflow's text does not say enough.
    """

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Form | None]] = {}
        self._of_replicas: dict[int, tuple[Form, QuickReader]] = {}

    def of(self, replica: Replica, model: str) -> tuple[Form, QuickReader] | None:
        """What a replica's answers look like, and who reads its requests; None where they go the long way."""
        known = self._of_replicas.get(replica.id)
        if known is None:
            form = self.models.get(model, {}).get(replica.version)
            if form is None or replica.reader is None:
                return None
            if len(self._of_replicas) >= _MOST_REPLICAS:
                self._of_replicas.clear()
            known = self._of_replicas[replica.id] = (form, QuickReader(replica.reader.plan))
        return known

    def learn(self, model: str, version: str, asked: Asked, outputs: Sequence[Tensor]) -> None:
        """Take in what a version answered; its first answer is what counts."""
        if len(self.models) >= _MOST_MODELS and model not in self.models:
            self.models.clear()
        forms = self.models.setdefault(model, {})
        if version not in forms:
            while len(forms) >= _MOST_VERSIONS:
                del forms[next(iter(forms))]
            shape = asked.tensors[0].shape
            forms[version] = Form.of(model, version, shape[0] if shape else 0, outputs)

    def distrust(self, model: str, version: str) -> None:
        """Answers of this version do not look like the first one: from now on all go the long way."""
        self.models.setdefault(model, {})[version] = None
        self._of_replicas.clear()


def told(shapes: Shapes, asked: Asked | None, name: str, wanted: str | None, response: Response) -> Response:
    """What the client gets for what scoring answered.

    Args:
        shapes: Learn of it.
        asked: Its request; None where the worker read it, and says what there is to know.
        name: The model's.
        wanted: The version that it asked for.
        response: The answer.
    """
    try:
        return _written(shapes, asked, name, wanted, response)
    except InvalidInput as error:
        return Response(400, error_body(error.message), headers=response.headers)
    except Exception:  # noqa: BLE001 - one answer that cannot be written is nobody else's
        _log.exception("writing an answer of %s failed", name)
        return Response(500, error_body("Internal Server Error"), headers=response.headers)


def _written(shapes: Shapes, asked: Asked | None, name: str, wanted: str | None, response: Response) -> Response:
    if response.status != 200 or response.content_type != CONTENT_TYPE:
        return Response(response.status, as_error(response.body), headers=response.headers)
    version = version_in(response.headers)
    if wanted is not None and version != wanted:
        text = f"Version {wanted} of {name} takes no requests now; version {version} does."
        return Response(503, error_body(text), headers=response.headers)
    outputs, about = decode_tensors(response.body)
    if asked is None:
        asked = Asked((), id=about["id"], wanted=about["outputs"], is_binary=about["is_binary"])
    else:
        shapes.learn(name, version, asked, outputs)
    body, json_bytes = write(asked, name, version, outputs)
    if json_bytes is None:
        return Response(200, body, headers=response.headers)
    length = header_lines(("Inference-Header-Content-Length", str(json_bytes)))
    return Response(200, body, "application/octet-stream", response.headers + length)


def version_in(headers: bytes) -> str:
    """The version that header lines of an answer name; empty where they name none."""
    start = headers.find(_VERSION)
    if start < 0:
        return ""
    start += len(_VERSION)
    return headers[start : headers.find(b"\r\n", start)].decode("latin-1")
