"""The Open Inference Protocol (V2) over HTTP: paths of health, metadata and inference.

An inference becomes a body of tensors, which takes the walk of every scoring request, and the tensors that come back
become the answer. Whatever goes wrong is `{"error": text}`.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from podium._version import __version__
from podium.domain.open_inference import server_metadata
from podium.errors import InvalidInput
from podium.protocols.open_inference.problems import as_error, error_body
from podium.protocols.open_inference.requests import HEADER, Asked, read_json, read_length, read_mixed, read_raw
from podium.protocols.open_inference.responses import write
from podium.protocols.tensors import CONTENT_TYPE, decode_tensors
from podium.serving.pages import Pages, Paths, Taker
from podium.serving.scoring import Scoring
from podium.serving.standing import Standing
from podium.serving.ways_back import WayBack
from podium.web.handling import Exchange
from podium.web.messages import Head, Request, Response, header_lines

_log = logging.getLogger("podium.gateway")
_VERSION = b"x-podium-version: "
_LENGTH = HEADER.encode()


def open_inference_paths(scoring: Scoring, standing: Standing, pages: Pages) -> Paths:
    """Where clients of the protocol ask; `/v2/` is answered like `/v2`, for the specification has both."""
    infer = Inferring(scoring, standing, pages)
    page = pages.page
    server = page(lambda: _json(200, server_metadata(__version__)))
    ready, metadata = page(_readiness(standing)), page(standing.metadata_of)
    return {
        "/v2": server,
        "/v2/": server,
        "/v2/health/live": page(lambda: _json(200, {"live": True})),
        "/v2/health/ready": page(lambda: _json(200 if standing.takes_traffic else 503, {"ready": standing.takes_traffic})),
        "/v2/models": page(lambda: _json(200, {"models": standing.names()})),
        "/v2/models/{name}": metadata,
        "/v2/models/{name}/versions/{version}": metadata,
        "/v2/models/{name}/ready": ready,
        "/v2/models/{name}/versions/{version}/ready": ready,
        "/v2/models/{name}/infer": {"POST": infer.find},
        "/v2/models/{name}/versions/{version}/infer": {"POST": infer.find},
    }


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

    def find(self, head: Head, name: str, version: str | None = None) -> Taker:
        """Who takes all requests with this head."""
        read = self._reader(head, name)
        headers = {**head.headers, b"content-type": CONTENT_TYPE.encode()}
        inner = Head(head.method, head.path, head.query, headers)

        def take(request: Request, exchange: Exchange) -> None:
            if version is not None:
                absence = self._standing.absence_of(name, version)
                if absence is not None:
                    self._pages.answer(request, exchange, absence)
                    return
            try:
                asked = read(request.body)
                body = asked.body()
            except InvalidInput as error:
                self._pages.answer(request, exchange, Response(400, error_body(error.message)))
                return
            self._scoring.start(Request(inner, body), WayBack(exchange, partial(_told, asked, name, version)), name)

        return take

    def _reader(self, head: Head, name: str) -> Callable[[bytes | bytearray], Asked]:
        """What reads the bodies behind this head."""
        said = head.headers.get(_LENGTH)
        if said is None:
            return read_json
        header = said.decode("latin-1")

        def read(body: bytes | bytearray) -> Asked:
            return read_mixed(body, header) if read_length(header) else read_raw(body, self._inputs_of(name))

        return read

    def _inputs_of(self, name: str) -> Any:
        model = self._standing.model_of(name)
        return model["inputs"] if model is not None else ()


def _told(asked: Asked, name: str, wanted: str | None, response: Response) -> Response:
    """What the client gets for what scoring answered; `wanted` is the version that it asked for."""
    try:
        return _written(asked, name, wanted, response)
    except InvalidInput as error:
        return Response(400, error_body(error.message), headers=response.headers)
    except Exception:  # noqa: BLE001 - one answer that cannot be written is nobody else's
        _log.exception("writing an answer of %s failed", name)
        return Response(500, error_body("Internal Server Error"), headers=response.headers)


def _written(asked: Asked, name: str, wanted: str | None, response: Response) -> Response:
    if response.status != 200 or response.content_type != CONTENT_TYPE:
        return Response(response.status, as_error(response.body), headers=response.headers)
    version = version_in(response.headers)
    if wanted is not None and version != wanted:
        text = f"Version {wanted} of {name} takes no requests now; version {version} does."
        return Response(503, error_body(text), headers=response.headers)
    outputs, _ = decode_tensors(response.body)
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


def _readiness(standing: Standing) -> Callable[..., Response]:
    def readiness_of(name: str, version: str | None = None) -> Response:
        absence = standing.absence_of(name, version)
        if absence is not None and absence.status == 404:
            return absence
        is_ready = absence is None and standing.readiness_of(name).status == 200
        return _json(200 if is_ready else 503, {"name": name, "ready": is_ready})

    return readiness_of


def _json(status: int, told: Any) -> Response:
    return Response(status, msgspec.json.encode(told) + b"\n")
