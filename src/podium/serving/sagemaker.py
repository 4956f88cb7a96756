"""SageMaker's container contract: models that are loaded and unloaded by HTTP, and what a batch transform may send.

https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html; `/ping` and `/invocations` are MLflow's own.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import msgspec

from podium.serving.asking import OpenQuestions
from podium.serving.invocations import taker_of
from podium.serving.open_inference.repository import MOST_BYTES
from podium.serving.pages import Pages, Paths, Taker
from podium.serving.walks.router import Router
from podium.serving.walks.scoring import Scoring
from podium.transport.messages import AskOutcome
from podium.web.handling import Exchange
from podium.web.messages import Head, Request, Response

_LOAD_S = 360.0
_LIST_S = 10.0
_PAGE = 100
_MOST_PAYLOAD_MIB = 100
_ROWS_AT_A_TIME = 4


def sagemaker_paths(scoring: Scoring, router: Router, pages: Pages, asking: OpenQuestions, max_body_bytes: int) -> Paths:
    """The routes of a multi-model endpoint, and `/execution-parameters`."""
    models = MultiModel(pages, asking)

    def invoke(head: Head, name: str) -> Taker:
        return partial(taker_of(scoring, head), endpoint=name)

    def parameters() -> Response:
        replicas = sum(len(target.replicas) for target in router.table.endpoints.get(router.table.default, ()))
        return _json(
            200,
            {
                "MaxConcurrentTransforms": _ROWS_AT_A_TIME * max(replicas, 1),
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": min(max_body_bytes >> 20, _MOST_PAYLOAD_MIB),
            },
        )

    return {
        "/models": {"GET": lambda _: models.list, "POST": lambda _: models.load},
        "/models/{name}": {
            "GET": lambda _, name: partial(models.show, name=name),
            "DELETE": lambda _, name: partial(models.unload, name=name),
        },
        "/models/{name}/invoke": {"POST": invoke},
        "/execution-parameters": pages.page(parameters),
    }


class MultiModel:
    """Asks the supervisor for what SageMaker asks for. Whether it may be loaded here is the supervisor's to say.

    Args:
        pages: Writes answers down.
        asking: Asks.
    """

    def __init__(self, pages: Pages, asking: OpenQuestions) -> None:
        self._pages = pages
        self._asking = asking

    def load(self, request: Request, exchange: Exchange) -> None:
        """Load the model at `url` as `model_name`: 200, 409 where the name is taken, 507 without memory for it."""
        try:
            body = msgspec.json.decode(request.body[:MOST_BYTES], type=dict[str, Any])
            name, url = body["model_name"], body["url"]
        except (msgspec.MsgspecError, KeyError):
            name = url = None
        if not isinstance(name, str) or not isinstance(url, str):
            text = 'The body is to be {"model_name": "…", "url": "…"}, both texts.'
            self._pages.answer(request, exchange, _error(400, text))
            return
        self._ask("load", name, request, exchange, _loaded, {"uri": url, "is_new": True})

    def unload(self, request: Request, exchange: Exchange, *, name: str) -> None:
        """End a model; its memory is free when this is answered."""
        self._ask("unload", name, request, exchange, lambda _: Response(200, b"{}\n"))

    def list(self, request: Request, exchange: Exchange) -> None:
        """The models that are loaded, a page at a time."""
        after = parse_qs(request.query).get("next_page_token", [""])[0]

        def page(body: Mapping[str, Any]) -> Response:
            loaded = sorted(_entries(body), key=lambda each: each["modelName"])
            rest = [each for each in loaded if each["modelName"] > after]
            more = {"nextPageToken": rest[_PAGE - 1]["modelName"]} if len(rest) > _PAGE else {}
            return _json(200, {"models": rest[:_PAGE], **more})

        self._ask("index", "", request, exchange, page)

    def show(self, request: Request, exchange: Exchange, *, name: str) -> None:
        """One model that is loaded; 404 for what is not."""

        def one(body: Mapping[str, Any]) -> Response:
            found = next((each for each in _entries(body) if each["modelName"] == name), None)
            return _error(404, f"{name} is not loaded.") if found is None else _json(200, found)

        self._ask("index", "", request, exchange, one)

    def _ask(
        self,
        verb: str,
        subject: str,
        request: Request,
        exchange: Exchange,
        said: Callable[[Mapping[str, Any]], Response],
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        def hear(answer: AskOutcome) -> None:
            text = str(answer.body.get("error", f"{subject}: {verb} failed"))
            response = said(answer.body) if answer.status < 400 else _error(answer.status, text)
            self._pages.answer(request, exchange, response)

        self._asking.ask(verb, subject, hear, _LIST_S if verb == "index" else _LOAD_S, arguments)


def _entries(index: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"modelName": each["name"], "modelUrl": each.get("uri", "")}
        for each in index.get("models", ())
        if each.get("state") == "READY"
    ]


def _loaded(body: Mapping[str, Any]) -> Response:
    return _json(200, {"status": f"{body.get('name')} is loaded"})


def _error(status: int, text: str) -> Response:
    return _json(status, {"code": status, "message": text})


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status, msgspec.json.encode(body) + b"\n")
