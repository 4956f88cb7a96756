"""MLflow's way to a model: `/invocations`, and the same for one endpoint of several."""

from collections.abc import Callable
from functools import partial

from podium.errors import UnsupportedContentType
from podium.protocols.mlflow.content_types import Form, form_of
from podium.serving.pages import Paths, Taker
from podium.serving.scoring import Scoring
from podium.serving.ways import VERSION
from podium.web.messages import Head


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
    """Who takes a request with this head: decoded here where it says JSON and nothing else, or as it comes."""
    return scoring.start_json if is_plain_json(head) else scoring.start


def is_plain_json(head: Head) -> bool:
    """Whether the head says JSON and nothing else that scoring would look at."""
    headers = head.headers
    if b"x-request-id" in headers or b"content-encoding" in headers or VERSION in headers:
        return False
    try:
        return form_of(headers.get(b"content-type", b"").decode("latin-1")) is Form.JSON
    except UnsupportedContentType:
        return False
