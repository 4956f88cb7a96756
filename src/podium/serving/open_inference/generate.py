"""The Open Inference Protocol's routes for models that answer in parts: generate, generate_stream and infer_stream."""

from functools import partial
from typing import Any

import msgspec

from podium.errors import InvalidInput, MalformedBody
from podium.protocols import tensors
from podium.protocols.open_inference.problems import as_error, error_body
from podium.protocols.open_inference.requests import HEADER, Asked, read_json
from podium.protocols.open_inference.responses import write
from podium.protocols.tensors import decode_tensors
from podium.serving.open_inference.events import Events, object_of
from podium.serving.open_inference.infer import version_in
from podium.serving.open_inference.translated import WayBack
from podium.serving.pages import Finder, Pages, Paths, Taker
from podium.serving.standing import Standing
from podium.serving.walks.scoring import Scoring
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response

_encode = msgspec.json.Encoder().encode
_MOST_BYTES = 1 << 20  # more is no prompt, and would hold up everybody else while it is read


def generating_paths(scoring: Scoring, standing: Standing, pages: Pages) -> Paths:
    """Where clients ask for text as it is made."""
    made = Generating(scoring, standing, pages)
    finders: dict[str, Finder] = {
        "generate": partial(made.find_text, is_streamed=False),
        "generate_stream": partial(made.find_text, is_streamed=True),
        "infer_stream": made.find_tensors,
    }
    return {
        f"/v2/models/{{name}}{of_version}/{word}": {"POST": find}
        for word, find in finders.items()
        for of_version in ("", "/versions/{version}")
    }


class Generating:
    """Takes such requests. Event loop's thread only.

    Args:
        scoring: Where they go.
        standing: Knows which versions serve.
        pages: Answers what cannot be read.
    """

    def __init__(self, scoring: Scoring, standing: Standing, pages: Pages) -> None:
        self._scoring = scoring
        self._standing = standing
        self._pages = pages

    def find_text(self, head: Head, name: str, version: str | None = None, *, is_streamed: bool) -> Taker:
        """An event for each part, or one object for all of it."""
        inner = _as(head, tensors.GENERATE_TYPE)

        def take(request: Request, arrival: Arrival) -> None:
            identity = self._id_of(request, arrival, name, version)
            if identity is _REFUSED:
                return
            asked = Request(self._standing.bound(inner, name, version), request.body)
            if is_streamed:
                events = Events(arrival, partial(_object_event, name, version, identity))
                self._scoring.start(asked, events, name, events)
            else:
                self._scoring.start(asked, WayBack(arrival, partial(_whole, name, version, identity)), name)

        return take

    def find_tensors(self, head: Head, name: str, version: str | None = None) -> Taker:
        """An event with a whole answer of inference for each part; one for a model that has no parts."""
        inner = _as(head, tensors.CONTENT_TYPE)
        is_binary = HEADER.encode() in head.headers

        def take(request: Request, arrival: Arrival) -> None:
            if self._refuses_version(request, arrival, name, version):
                return
            try:
                if is_binary:
                    raise MalformedBody("An answer of events has no bytes; send the inputs as JSON.")
                asked = read_json(request.body)
                body = asked.body()
            except InvalidInput as error:
                self._pages.answer(request, arrival, Response(400, error_body(error.message)))
                return
            events = Events(arrival, partial(_tensors_event, asked, name, version))
            self._scoring.start(Request(self._standing.bound(inner, name, version), body), events, name, events)

        return take

    def _refuses_version(self, request: Request, arrival: Arrival, name: str, version: str | None) -> bool:
        absence = None if version is None else self._standing.absence_of(name, version)
        if absence is not None:
            self._pages.answer(request, arrival, absence)
        return absence is not None

    def _id_of(self, request: Request, arrival: Arrival, name: str, version: str | None) -> Any:
        """What the client calls the request, None without; `_REFUSED` where it was answered already."""
        if self._refuses_version(request, arrival, name, version):
            return _REFUSED
        if len(request.body) > _MOST_BYTES:
            text = f"The body has {len(request.body)} bytes; expected at most {_MOST_BYTES} where text is made."
            self._pages.answer(request, arrival, Response(413, error_body(text)))
            return _REFUSED
        try:
            asked = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            asked = None
        if isinstance(asked, dict) and isinstance(identity := asked.get("id"), str | None):
            return identity
        text = "The request's id is not text." if isinstance(asked, dict) else "The body is no JSON object."
        self._pages.answer(request, arrival, Response(400, error_body(text)))
        return _REFUSED


_REFUSED = object()


def _as(head: Head, content_type: str) -> Head:
    """The same head with another type of body: what gateway and worker call it."""
    return Head(head.method, head.path, head.query, {**head.headers, b"content-type": content_type.encode()})


def _named(name: str, wanted: str | None, identity: Any, headers: bytes) -> dict[str, Any]:
    """What each object says of who made it.

    Raises:
        InvalidInput: Another version than the one that was asked for.
    """
    version = version_in(headers)
    if wanted is not None and wanted != version:
        raise InvalidInput(f"Version {wanted} of {name} takes no requests now; version {version} does.")
    return {"model_name": name, "model_version": version} | ({} if identity is None else {"id": identity})


def _object_event(name: str, wanted: str | None, identity: Any, _content_type: str, body: bytes, headers: bytes) -> bytes:
    return _encode(_named(name, wanted, identity, headers) | object_of(body))


def _tensors_event(asked: Asked, name: str, wanted: str | None, _content_type: str, body: bytes, headers: bytes) -> bytes:
    version = _named(name, wanted, None, headers)["model_version"]
    outputs, _ = decode_tensors(body)
    return write(asked, name, version, outputs).body


def _whole(name: str, wanted: str | None, identity: Any, response: Response) -> Response:
    if response.status != 200:
        return Response(response.status, as_error(response.body), headers=response.headers)
    try:
        told = _object_event(name, wanted, identity, response.content_type, bytes(response.body), response.headers)
    except InvalidInput as error:
        return Response(503, error_body(error.message), headers=response.headers)
    return Response(200, told, headers=response.headers)
