"""MLflow's way to a model: `/invocations`, and the same for one endpoint of several."""

from collections.abc import Callable
from functools import partial

from podium.errors import UnsupportedContentType
from podium.protocols.mlflow.content_types import Form, asked_for, form_of, with_answer
from podium.serving.pages import Paths, Taker
from podium.serving.walks.scoring import Scoring
from podium.serving.walks.ways import VERSION
from podium.web.handling import Exchange
from podium.web.messages import Head, Request


def invocation_paths(scoring: Scoring) -> Paths:
    """Where MLflow's clients send what is to be scored."""

    def find(head: Head, endpoint: str | None = None) -> Taker:
        start = taker_of(scoring, head)
        return start if endpoint is None else partial(start, endpoint=endpoint)

    return {
        "/invocations": {"POST": find},
        "/models/{name}/invocations": {"POST": find},
        "/endpoints/{name}/invocations": {"POST": find},
    }


def taker_of(scoring: Scoring, head: Head) -> Callable[..., None]:
    """Who takes a request with this head: decoded here where it says JSON and nothing else, or as it comes.

    An answer in another form than JSON is asked of the worker, by a parameter of the content type.
    """
    kind = asked_for(head.headers.get(b"accept", b"").decode("latin-1"))
    if kind is None:
        return scoring.start_json if is_plain_json(head) else scoring.start
    said = head.headers.get(b"content-type", b"").decode("latin-1")
    headers = {**head.headers, b"content-type": with_answer(said, kind).encode("latin-1")}
    return partial(_begin, scoring, Head(head.method, head.path, head.query, headers))


def _begin(scoring: Scoring, head: Head, request: Request, exchange: Exchange, endpoint: str | None = None) -> None:
    scoring.start(Request(head, request.body), exchange, endpoint)


def is_plain_json(head: Head) -> bool:
    """Whether the head says JSON and nothing else that scoring would look at."""
    headers = head.headers
    if b"content-encoding" in headers or VERSION in headers:
        return False
    try:
        return form_of(headers.get(b"content-type", b"").decode("latin-1")) is Form.JSON
    except UnsupportedContentType:
        return False
