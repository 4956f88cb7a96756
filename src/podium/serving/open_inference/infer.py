"""Requests of inference of the Open Inference Protocol, on two ways with one answer.

long    the body becomes tensors, which take the walk of every scoring request; those that come back become the answer
quick   the body becomes records of the model's input plan, and the answer is made of MLflow's text; taken where the
        body fits the plan, and an answer of the long way has shown what those of this version look like
"""

import logging
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from podium.errors import InvalidInput
from podium.protocols.mlflow.fast_packing import Packed
from podium.protocols.open_inference.problems import as_error, error_body
from podium.protocols.open_inference.requests import HEADER, Asked, read_json, read_length, read_mixed, read_raw
from podium.protocols.open_inference.responses import write
from podium.protocols.tensors import CONTENT_TYPE, LARGE_TYPE, decode_tensors
from podium.serving.open_inference.shapes import Shapes
from podium.serving.open_inference.translated import InFront, WayBack
from podium.serving.pages import Pages, Taker
from podium.serving.standing import Standing
from podium.serving.walks.replica import Replica
from podium.serving.walks.scoring import Scoring
from podium.serving.walks.ways import VERSION
from podium.web.handling import Arrival, Exchange
from podium.web.messages import Head, Request, Response, header_lines

_log = logging.getLogger("podium.gateway")
_VERSION = b"x-podium-version: "
_LENGTH = HEADER.encode()
_MOST_BYTES = 1 << 20  # more JSON is left to the worker: here it would hold up everybody else
FEW_BYTES = 1 << 16
_MOST_VALUES = 1 << 16
_LOOKS, _LOOK_BYTES = 16, 256
# What a head says that only the long way looks at.
_SLOW = frozenset({VERSION, b"content-encoding"})


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

        def take(request: Request, exchange: Arrival, asked: Asked | None = None) -> None:
            if version is not None and not self._is_there(request, exchange, name, version):
                return
            body, sent = request.body, large
            if asked is None and (read is not read_json or not is_costly(body)):
                try:
                    asked = read(body)
                except InvalidInput as error:
                    self._pages.answer(request, exchange, Response(400, error_body(error.message)))
                    return
            if asked is not None:
                body, sent = asked.body(), inner
            sent = self._standing.bound(sent, name, version)
            start(Request(sent, body), WayBack(exchange, partial(told, shapes, asked, name, version)), name)

        quick = QuickHead(shapes, inner, name, read, take)

        def take_quickly(request: Request, exchange: Arrival) -> None:
            if name not in known:
                take(request, exchange)
                return
            detour = RecordsDetour(quick, request, exchange)
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


class QuickHead:
    """What all requests with one head have in common that may go as records.

    Args:
        shapes: Know what answers look like.
        inner: The head for the long way.
        name: The model's.
        read: Reads bodies like these.
        take: Takes a request on the long way; what was read of it is not read again.
    """

    __slots__ = ("inner", "is_json", "name", "read", "shapes", "take")

    def __init__(
        self,
        shapes: Shapes,
        inner: Head,
        name: str,
        read: Callable[[bytes | bytearray], Asked],
        take: Callable[[Request, Arrival, Asked | None], None],
    ) -> None:
        self.shapes = shapes
        self.inner = inner
        self.name = name
        self.read = read
        self.is_json = read is read_json
        self.take = take


class RecordsDetour(InFront):
    """A request that goes as records, and its client's exchange: a `serving.walks.walk.Detour`.

    Args:
        quick: What is known from its head.
        request: As the client sent it.
        exchange: The client's.
    """

    __slots__ = (
        "_asked", "_form", "_id", "_json_bytes", "_quick", "_request", "answers_to", "terms",
    )  # fmt: skip

    def __init__(self, quick: QuickHead, request: Request, exchange: Arrival) -> None:
        self.client = exchange.client
        self.terms = exchange.terms
        self._exchange = exchange
        self.answers_to: Exchange = exchange
        self._quick = quick
        self._request = request
        self._id = b""
        self._asked: Asked | None = None
        self._json_bytes: int | None = None

    def read(self, replica: Replica) -> Packed | None:
        quick = self._quick
        known = quick.shapes.of_replicas.get(replica.id) or quick.shapes.of(replica, quick.name)
        if known is None:
            return None
        self._form, reader, records = known
        body = self._request.body
        if quick.is_json:
            if len(body) > FEW_BYTES and is_costly(body):
                return None
            found = reader.read(body)
            if found is not None:
                packed, self._id = found
                return packed
        try:
            self._asked = asked = quick.read(body)
        except InvalidInput:
            return None  # the long way says what is wrong
        if asked.params:
            return None
        if asked.id is not None:
            self._id = msgspec.json.encode(asked.id)
        return records.of(asked.tensors)

    @property
    def says_fields(self) -> bool:
        return self._quick.is_json

    @property
    def wants_tensors(self) -> bool:
        return self._asked is not None and self._asked.is_binary

    def start(self) -> None:
        self._quick.take(self._request, self._exchange, self._asked)

    def request(self) -> Request:
        return Request(self._quick.inner, (self._asked or self._quick.read(self._request.body)).body())

    def made_of(self, version: str, body: bytes, rows: int, form: int) -> bytes:
        known, asked = self._form, self._asked
        if asked is None or (asked.wanted is None and not asked.is_binary):
            made = known.spliced(body, rows, self._id, form)
        else:
            output = known.output(body, rows, form)
            made = None
            if output is not None:
                try:
                    made, self._json_bytes = write(asked, self._quick.name, version, [output])
                    self.answers_to = self  # which says how much of it is JSON
                except InvalidInput:
                    return b""  # of what was asked for; the long way says so
        if made is None:
            self._quick.shapes.doubt(self._quick.name, version, known)
            return b""
        if known.misses:
            known.misses = 0
        return made

    def answer(self, response: Response) -> None:
        if response.status != 200:
            response = Response(response.status, as_error(response.body), headers=response.headers)
        elif response.content_type == CONTENT_TYPE:
            asked = self._asked or read_json(self._request.body)
            response = told(self._quick.shapes, asked, self._quick.name, None, response)
        elif self._json_bytes is not None:
            response = _mixed(response.body, self._json_bytes, response.headers)
        self._exchange.answer(response)

    def answer_raw(self, data: bytes) -> bool:
        return self._json_bytes is None and self._exchange.answer_raw(data)


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
        shapes.learn(name, version, asked.tensors, outputs, about)
    body, json_bytes = write(asked, name, version, outputs)
    if json_bytes is None:
        return Response(200, body, headers=response.headers)
    return _mixed(body, json_bytes, response.headers)


def _mixed(body: bytes | memoryview, json_bytes: int, headers: bytes) -> Response:
    length = header_lines(("Inference-Header-Content-Length", str(json_bytes)))
    return Response(200, body, "application/octet-stream", headers + length)


def is_costly(body: bytes | bytearray) -> bool:
    """Whether to decode so much JSON would hold up everybody else of a gateway."""
    size = len(body)
    if size <= FEW_BYTES:
        return False
    # Counted where nobody can foresee it: to count all of them takes a fifth of what reading does.
    step = size // _LOOKS
    first = random.randrange(step - _LOOK_BYTES)
    seen = sum(body.count(b",", start, start + _LOOK_BYTES) for start in range(first, size, step))
    return size > _MOST_BYTES or seen * size > _MOST_VALUES * _LOOKS * _LOOK_BYTES


def version_in(headers: bytes) -> str:
    """The version that header lines of an answer name; empty where they name none."""
    start = headers.find(_VERSION)
    if start < 0:
        return ""
    start += len(_VERSION)
    return headers[start : headers.find(b"\r\n", start)].decode("latin-1")
